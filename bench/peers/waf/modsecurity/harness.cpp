// libmodsecurity 3 behind the protocol of bench/peers/waf/peer.ts: transactions in on standard input, one line of JSON
// out for each command. `harness RULES.conf`, built by bench/peers/waf/build.ts.
#include <modsecurity/modsecurity.h>
#include <modsecurity/rule_message.h>
#include <modsecurity/rules_set.h>
#include <modsecurity/transaction.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace {

struct Message {
  std::string protocol;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};
struct Exchange {
  std::string client, method, uri;
  Message request, response;
  uint32_t status = 0;  // 0: there is no response
};
struct Hit {
  int id, phase;
  bool disruptive;
  std::string message, data;
};
struct Outcome {
  std::vector<Hit> hits;
  int status = 0;  // of a disruptive action, 0 when there was none
};

// ---- frames: u32 length, bytes; little-endian as every machine this runs on

[[noreturn]] void fail(const std::string &why) {
  fprintf(stderr, "harness: %s\n", why.c_str());
  exit(2);
}
bool readFully(void *into, size_t count) { return fread(into, 1, count, stdin) == count; }
uint32_t number() {
  uint32_t value;
  if (!readFully(&value, 4)) fail("input ends inside a command");
  return value;
}
std::string text() {
  std::string value(number(), '\0');
  if (!value.empty() && !readFully(value.data(), value.size())) fail("input ends inside a command");
  return value;
}
Message message() {
  Message read;
  read.protocol = text();
  for (uint32_t count = number(); count > 0; count--) {
    auto name = text();
    read.headers.emplace_back(std::move(name), text());
  }
  read.body = text();
  return read;
}
Exchange exchange() {
  Exchange read;
  read.client = text();
  read.method = text();
  read.uri = text();
  read.request = message();
  read.status = number();
  if (read.status != 0) read.response = message();
  return read;
}
std::string json(const std::string &bytes) {  // bytes as Latin-1, so that nothing is lost
  std::string out = "\"";
  char escaped[8];
  for (unsigned char byte : bytes) {
    if (byte == '"' || byte == '\\' || byte < 0x20 || byte > 0x7e) {
      snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      out += escaped;
    } else {
      out += static_cast<char>(byte);
    }
  }
  return out + "\"";
}

// ---- one transaction

void onLog(void *data, const void *raw) {
  if (!data) return;
  auto rule = static_cast<const modsecurity::RuleMessage *>(raw);
  static_cast<Outcome *>(data)->hits.push_back(
      {rule->m_ruleId, rule->m_phase + 1, rule->m_isDisruptive, rule->m_message, rule->m_data});
}
const unsigned char *bytes(const std::string &value) { return reinterpret_cast<const unsigned char *>(value.data()); }

/** True when a rule has ended the transaction. */
bool stopped(modsecurity::Transaction &transaction, Outcome *outcome) {
  modsecurity::ModSecurityIntervention intervention;
  modsecurity::intervention::reset(&intervention);
  intervention.status = 200;
  if (!transaction.intervention(&intervention)) return false;
  const bool disruptive = intervention.disruptive != 0;
  if (disruptive && outcome) outcome->status = intervention.status;
  modsecurity::intervention::free(&intervention);
  return disruptive;
}

/** The calls of a connector, in its order; `outcome` is null while time is taken. */
void process(modsecurity::ModSecurity &engine, modsecurity::RulesSet &rules, const Exchange &exchange,
             Outcome *outcome) {
  modsecurity::Transaction transaction(&engine, &rules, outcome);
  transaction.processConnection(exchange.client.c_str(), 12345, "127.0.0.1", 80);
  const auto &protocol = exchange.request.protocol;
  const auto version = protocol.rfind("HTTP/", 0) == 0 ? protocol.substr(5) : protocol;
  transaction.processURI(exchange.uri.c_str(), exchange.method.c_str(), version.c_str());
  for (const auto &[name, value] : exchange.request.headers)
    transaction.addRequestHeader(bytes(name), name.size(), bytes(value), value.size());
  transaction.processRequestHeaders();
  bool done = stopped(transaction, outcome);
  if (!done) {
    if (!exchange.request.body.empty())
      transaction.appendRequestBody(bytes(exchange.request.body), exchange.request.body.size());
    transaction.processRequestBody();
    done = stopped(transaction, outcome);
  }
  if (!done && exchange.status != 0) {
    for (const auto &[name, value] : exchange.response.headers)
      transaction.addResponseHeader(bytes(name), name.size(), bytes(value), value.size());
    transaction.processResponseHeaders(static_cast<int>(exchange.status), exchange.response.protocol);
    done = stopped(transaction, outcome);
    if (!done) {
      if (!exchange.response.body.empty())
        transaction.appendResponseBody(bytes(exchange.response.body), exchange.response.body.size());
      transaction.processResponseBody();
      stopped(transaction, outcome);
    }
  }
  transaction.processLogging();
}

long residentBytes() {
  long pages = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file) {
    if (fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    fclose(file);
  }
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace

int main(int count, char **words) {
  if (count != 2) fail("usage: harness RULES.conf");
  modsecurity::ModSecurity engine;
  engine.setConnectorInformation("sallyport-bench");
  engine.setServerLogCb(onLog, modsecurity::RuleMessageLogProperty);
  modsecurity::RulesSet rules;
  const auto begun = std::chrono::steady_clock::now();
  if (rules.loadFromUri(words[1]) < 0) fail(rules.getParserError());
  const std::chrono::duration<double, std::milli> loading = std::chrono::steady_clock::now() - begun;
  printf("{\"ready\":\"libmodsecurity %s\",\"loadMs\":%.1f,\"rss\":%ld}\n", MODSECURITY_VERSION, loading.count(),
         residentBytes());
  fflush(stdout);

  for (uint32_t command; readFully(&command, 4);) {
    if (command == 1) {  // run one, tell what fired
      const auto one = exchange();
      Outcome outcome;
      process(engine, rules, one, &outcome);
      printf("{\"status\":%d,\"hits\":[", outcome.status);
      const char *comma = "";
      for (const auto &hit : outcome.hits) {
        printf("%s{\"id\":%d,\"phase\":%d,\"disruptive\":%s,\"message\":%s,\"data\":%s}", comma, hit.id, hit.phase,
               hit.disruptive ? "true" : "false", json(hit.message).c_str(), json(hit.data).c_str());
        comma = ",";
      }
      printf("]}\n");
    } else if (command == 2) {  // time: passes over a list, nanoseconds of each transaction
      const uint32_t warm = number(), passes = number();
      std::vector<Exchange> list(number());
      for (auto &one : list) one = exchange();
      for (uint32_t pass = 0; pass < warm; pass++)
        for (const auto &one : list) process(engine, rules, one, nullptr);
      std::vector<double> samples;
      samples.reserve(static_cast<size_t>(passes) * list.size());
      for (uint32_t pass = 0; pass < passes; pass++)
        for (const auto &one : list) {
          const auto from = std::chrono::steady_clock::now();
          process(engine, rules, one, nullptr);
          samples.push_back(std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - from).count());
        }
      double sum = 0;
      for (double sample : samples) sum += sample;
      std::sort(samples.begin(), samples.end());
      auto at = [&](double share) {
        return samples.empty() ? 0 : samples[static_cast<size_t>(share * static_cast<double>(samples.size() - 1))];
      };
      printf("{\"mean\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"rss\":%ld}\n",
             samples.empty() ? 0 : sum / static_cast<double>(samples.size()), at(0.5), at(0.99), residentBytes());
    } else {
      fail("unknown command");
    }
    fflush(stdout);
  }
}
