// Coraza 3 behind the protocol of bench/peers/waf/peer.ts: transactions in on standard input, one line of JSON out for
// each command. `harness RULES.conf`, built by bench/peers/waf/build.ts.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
)

type header struct{ name, value string }
type message struct {
	protocol string
	headers  []header
	body     []byte
}
type exchange struct {
	client, method, uri string
	request, response   message
	status              uint32 // 0: there is no response
}
type hit struct {
	ID         int    `json:"id"`
	Phase      int    `json:"phase"`
	Disruptive bool   `json:"disruptive"`
	Message    string `json:"message"`
	Data       string `json:"data"`
}
type outcome struct {
	Status int   `json:"status"` // of a disruptive action, 0 when there was none
	Hits   []hit `json:"hits"`
}
type timing struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	RSS  int64   `json:"rss"`
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, "harness:", why)
	os.Exit(2)
}

// ---- frames: u32 length, bytes; little-endian

var input = bufio.NewReaderSize(os.Stdin, 1<<16)

func bytesOf(count uint32) []byte {
	value := make([]byte, count)
	if _, err := io.ReadFull(input, value); err != nil {
		fail("input ends inside a command")
	}
	return value
}
func number() uint32 { return binary.LittleEndian.Uint32(bytesOf(4)) }
func text() string   { return string(bytesOf(number())) }
func readMessage() message {
	read := message{protocol: text()}
	for count := number(); count > 0; count-- {
		name := text()
		read.headers = append(read.headers, header{name, text()})
	}
	read.body = bytesOf(number())
	return read
}
func readExchange() exchange {
	read := exchange{client: text(), method: text(), uri: text(), request: readMessage()}
	read.status = number()
	if read.status != 0 {
		read.response = readMessage()
	}
	return read
}

// latin1 gives one character for each byte, so that nothing is lost in JSON.
func latin1(value string) string {
	var out strings.Builder
	for i := 0; i < len(value); i++ {
		out.WriteRune(rune(value[i]))
	}
	return out.String()
}

// ---- one transaction

// current takes what fires; nil while time is taken.
var current *outcome

func onRule(rule types.MatchedRule) {
	if current == nil {
		return
	}
	current.Hits = append(current.Hits, hit{
		ID:         rule.Rule().ID(),
		Phase:      int(rule.Rule().Phase()),
		Disruptive: rule.Disruptive(),
		Message:    latin1(rule.Message()),
		Data:       latin1(rule.Data()),
	})
}

// process makes the calls of Coraza's own HTTP middleware, in its order.
func process(waf coraza.WAF, exchange *exchange) {
	transaction := waf.NewTransaction()
	defer func() {
		if interruption := transaction.Interruption(); interruption != nil && current != nil {
			current.Status = interruption.Status
		}
		transaction.ProcessLogging()
		_ = transaction.Close()
	}()
	transaction.ProcessConnection(exchange.client, 12345, "127.0.0.1", 80)
	transaction.ProcessURI(exchange.uri, exchange.method, exchange.request.protocol)
	for _, header := range exchange.request.headers {
		transaction.AddRequestHeader(header.name, header.value)
	}
	if transaction.ProcessRequestHeaders() != nil {
		return
	}
	if len(exchange.request.body) > 0 {
		if interruption, _, err := transaction.WriteRequestBody(exchange.request.body); interruption != nil || err != nil {
			return
		}
	}
	if interruption, err := transaction.ProcessRequestBody(); interruption != nil || err != nil {
		return
	}
	if exchange.status == 0 {
		return
	}
	for _, header := range exchange.response.headers {
		transaction.AddResponseHeader(header.name, header.value)
	}
	if transaction.ProcessResponseHeaders(int(exchange.status), exchange.response.protocol) != nil {
		return
	}
	if transaction.IsResponseBodyProcessable() && len(exchange.response.body) > 0 {
		if interruption, _, err := transaction.WriteResponseBody(exchange.response.body); interruption != nil || err != nil {
			return
		}
	}
	_, _ = transaction.ProcessResponseBody()
}

func residentBytes() int64 {
	text, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/corazawaf/coraza/v3" {
				return strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return "unknown"
}

func main() {
	if len(os.Args) != 2 {
		fail("usage: harness RULES.conf")
	}
	begun := time.Now()
	waf, err := coraza.NewWAF(coraza.NewWAFConfig().WithDirectivesFromFile(os.Args[1]).WithErrorCallback(onRule))
	if err != nil {
		fail(err)
	}
	fmt.Printf("{\"ready\":\"Coraza %s\",\"loadMs\":%.1f,\"rss\":%d}\n", version(),
		float64(time.Since(begun).Microseconds())/1000, residentBytes())
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	for {
		command := make([]byte, 4)
		if _, err := io.ReadFull(input, command); err != nil {
			return
		}
		switch binary.LittleEndian.Uint32(command) {
		case 1: // run one, tell what fired
			one := readExchange()
			current = &outcome{Hits: []hit{}}
			process(waf, &one)
			_ = output.Encode(current)
			current = nil
		case 2: // time: passes over a list, nanoseconds of each transaction
			warm, passes := number(), number()
			list := make([]exchange, number())
			for i := range list {
				list[i] = readExchange()
			}
			for range warm {
				for i := range list {
					process(waf, &list[i])
				}
			}
			samples := make([]float64, 0, int(passes)*len(list))
			sum := 0.0
			for range passes {
				for i := range list {
					from := time.Now()
					process(waf, &list[i])
					taken := float64(time.Since(from).Nanoseconds())
					samples = append(samples, taken)
					sum += taken
				}
			}
			slices.Sort(samples)
			at := func(share float64) float64 {
				if len(samples) == 0 {
					return 0
				}
				return samples[int(share*float64(len(samples)-1))]
			}
			_ = output.Encode(timing{sum / float64(max(1, len(samples))), at(0.5), at(0.99), residentBytes()})
		default:
			fail("unknown command")
		}
	}
}
