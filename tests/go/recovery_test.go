package tidegate

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/centrifugal/centrifuge-go"
)

func TestMissedPublicationsAreRecovered(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("stream")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		publishNumbers(t, channel, 1, 5)
		alice.numbers(t, 5)
		alice.cut(t)
		publishNumbers(t, channel, 6, 100)
		alice.mend(t)
		expectRecovery(t, alice, 2, true)
		publishNumbers(t, channel, 106, 5)
		expectConsecutive(t, alice.numbers(t, 110))
	})
}

func TestPublicationsDuringTheReturn(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("stream")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		for round := range 3 {
			alice.cut(t)
			publishNumbers(t, channel, 1+round*60, 20)
			alice.link.mend()
			publishNumbers(t, channel, 21+round*60, 40)
			expectRecovery(t, alice, 2+round, true)
		}
		expectConsecutive(t, alice.numbers(t, 180))
	})
}

func TestGapIsReported(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("short")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		publishNumbers(t, channel, 1, 1)
		alice.numbers(t, 1)
		alice.cut(t)
		publishNumbers(t, channel, 2, 50)
		alice.mend(t)
		again := expectRecovery(t, alice, 2, false)
		if again.StreamPosition.Offset != 51 {
			t.Fatalf("%+v", again.StreamPosition)
		}
	})
}

func TestPositionedAndRecoverableAreAskedFor(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		for _, wish := range []centrifuge.SubscriptionConfig{{}, {Positioned: true}, {Recoverable: true}} {
			alice := w.connect(t, "alice", nil)
			alice.subscribe(t, w.channel("asked"), wish)
			subscribed := next[centrifuge.SubscribedEvent](t, alice.journal, 1)
			positioned := wish.Positioned || wish.Recoverable
			if subscribed.Positioned != positioned || subscribed.Recoverable != wish.Recoverable {
				t.Fatalf("%+v: %+v", wish, subscribed)
			}
		}
	})
}

func TestCacheRecoversTheLatest(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("latest")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		publishNumbers(t, channel, 1, 1)
		alice.numbers(t, 1)
		alice.cut(t)
		publishNumbers(t, channel, 2, 50)
		alice.mend(t)
		expectRecovery(t, alice, 2, true)
		if numbers := alice.numbers(t, 2); numbers[1] != 51 {
			t.Fatalf("%v", numbers)
		}
	})
}

func TestCacheGreetsNewSubscribers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("state")
		publishNumbers(t, channel, 1, 3)
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		expectRecovery(t, alice, 1, true)
		if numbers := alice.numbers(t, 1); numbers[0] != 3 {
			t.Fatalf("%v", numbers)
		}
	})
}

// The SDK applies patches by itself and panics over one that does not fit.
func TestDelta(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("delta")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{Delta: centrifuge.DeltaTypeFossil})
		bob := w.connect(t, "bob", nil)
		bob.subscribe(t, channel, centrifuge.SubscriptionConfig{})

		for n := 1; n <= 20; n++ {
			running.api(t, "publish", claims{"channel": channel, "data": document(n)})
		}
		first[centrifuge.PublicationEvent](t, alice.journal, 20)
		alice.cut(t)
		for n := 21; n <= 40; n++ {
			running.api(t, "publish", claims{"channel": channel, "data": document(n)})
		}
		alice.mend(t)
		expectRecovery(t, alice, 2, true)
		for n := 41; n <= 50; n++ {
			running.api(t, "publish", claims{"channel": channel, "data": document(n)})
		}
		for _, p := range []*person{alice, bob} {
			for i, publication := range first[centrifuge.PublicationEvent](t, p.journal, 50) {
				expectDocument(t, publication.Data, i+1)
			}
		}
	})
}

// document is a payload of which the next shares most, with characters of several bytes that change within.
func document(n int) claims {
	return claims{
		"n":      n,
		"text":   strings.Repeat("Вода поднимается. ", 20) + fmt.Sprintf("%c%c", 0x430+n%32, 0x1F30A+n),
		"gauges": []int{n % 3, n % 5, n % 7},
	}
}

func expectDocument(t *testing.T, data []byte, n int) {
	t.Helper()
	text, err := json.Marshal(document(n))
	check(t, err)
	var found, expected any
	check(t, json.Unmarshal(data, &found))
	check(t, json.Unmarshal(text, &expected))
	if !reflect.DeepEqual(found, expected) {
		t.Fatalf("publication %d: %s", n, data)
	}
}

// expectRecovery wants the subscription number nth to say what became of the position.
func expectRecovery(t *testing.T, p *person, nth int, recovered bool) centrifuge.SubscribedEvent {
	t.Helper()
	again := next[centrifuge.SubscribedEvent](t, p.journal, nth)
	if !again.WasRecovering || again.Recovered != recovered {
		t.Fatalf("expected recovered %v: %+v", recovered, again)
	}
	return again
}
