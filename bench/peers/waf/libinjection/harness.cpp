// libinjection's two verdicts, as libmodsecurity has it built in: texts in on standard input, each with its length before
// it (u32, little-endian); a line for each: `1` or `0` for SQL, for XSS, and nanoseconds of both together when `count` is
// given. `harness [COUNT]`, built by bench/peers/waf/libinjection.ts.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

extern "C" int libinjection_sqli(const char *text, size_t length, char *fingerprint);
extern "C" int libinjection_xss(const char *text, size_t length);

int main(int words, char **word) {
  const long count = words > 1 ? atol(word[1]) : 0;
  char fingerprint[16];
  uint32_t length;
  while (fread(&length, sizeof length, 1, stdin) == 1) {
    std::string text(length, '\0');
    if (length > 0 && fread(text.data(), 1, length, stdin) != length) {
      fprintf(stderr, "harness: input ends inside a text\n");
      return 2;
    }
    const bool sql = libinjection_sqli(text.data(), length, fingerprint) != 0;
    const bool xss = libinjection_xss(text.data(), length) != 0;
    double sqlTime = 0, xssTime = 0;
    if (count > 0) {
      auto begun = std::chrono::steady_clock::now();
      for (long i = 0; i < count; i++) libinjection_sqli(text.data(), length, fingerprint);
      auto middle = std::chrono::steady_clock::now();
      for (long i = 0; i < count; i++) libinjection_xss(text.data(), length);
      const auto ended = std::chrono::steady_clock::now();
      sqlTime = std::chrono::duration<double, std::nano>(middle - begun).count() / count;
      xssTime = std::chrono::duration<double, std::nano>(ended - middle).count() / count;
    }
    printf("%d %d %.1f %.1f\n", sql, xss, sqlTime, xssTime);
  }
}
