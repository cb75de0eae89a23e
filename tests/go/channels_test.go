package tidegate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

func TestOnePublishesTwoReceive(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("stream")
		alice := w.connect(t, "alice", nil)
		bob := w.connect(t, "bob", claims{"info": claims{"name": "Bob"}})
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		subscription := bob.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		_, err := subscription.Publish(context.Background(), []byte(`{"n":7,"text":"прилив 🌊"}`))
		check(t, err)
		for _, p := range []*person{alice, bob} {
			publication := next[centrifuge.PublicationEvent](t, p.journal, 1)
			if string(publication.Data) != `{"n":7,"text":"прилив 🌊"}` || publication.Offset != 1 {
				t.Fatalf("%+v: %s", publication, publication.Data)
			}
			if publication.Info.User != bob.name || string(publication.Info.ConnInfo) != `{"name":"Bob"}` {
				t.Fatalf("%+v", publication.Info)
			}
		}
	})
}

func TestBurstArrivesInOrder(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("stream")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		publishNumbers(t, channel, 1, 300)
		expectConsecutive(t, alice.numbers(t, 300))
	})
}

func TestTagsArrive(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("stream")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		running.api(t, "publish", claims{"channel": channel, "data": claims{"n": 1}, "tags": claims{"kind": "greeting"}})
		if tags := next[centrifuge.PublicationEvent](t, alice.journal, 1).Tags; tags["kind"] != "greeting" {
			t.Fatalf("%v", tags)
		}
	})
}

func TestUnsubscribeAndReturn(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("plain")
		alice := w.connect(t, "alice", nil)
		subscription := alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		publishNumbers(t, channel, 1, 1)
		alice.numbers(t, 1)
		check(t, subscription.Unsubscribe())
		alice.ping(t)
		publishNumbers(t, channel, 2, 1)
		check(t, subscription.Subscribe())
		next[centrifuge.SubscribedEvent](t, alice.journal, 2)
		publishNumbers(t, channel, 3, 1)
		if numbers := alice.numbers(t, 2); !slices.Equal(numbers, []int{1, 3}) {
			t.Fatalf("%v", numbers)
		}
	})
}

// An unsubscribe that overtakes the answer to the subscribe, many times in a row, leaves the client subscribed or not,
// as it asked last.
func TestUnsubscribeInFlight(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("plain")
		alice := w.connect(t, "alice", nil)
		subscription := alice.prepare(t, channel, centrifuge.SubscriptionConfig{})
		for range 20 {
			check(t, subscription.Subscribe())
			check(t, subscription.Unsubscribe())
		}
		alice.ping(t)
		publishNumbers(t, channel, 1, 1)
		check(t, subscription.Subscribe())
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		_, err := subscription.PresenceStats(ctx)
		expectCode(t, err, 108)
		publishNumbers(t, channel, 2, 1)
		if numbers := alice.numbers(t, 1); !slices.Equal(numbers, []int{2}) {
			t.Fatalf("%v", numbers)
		}
		expectCount[centrifuge.ConnectedEvent](t, alice, 1)
	})
}

func TestPresenceJoinAndLeave(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("room")
		alice, bob := w.connect(t, "alice", nil), w.connect(t, "bob", claims{"info": claims{"name": "Bob"}})
		room := alice.subscribe(t, channel, centrifuge.SubscriptionConfig{JoinLeave: true})
		bob.subscribe(t, channel, centrifuge.SubscriptionConfig{JoinLeave: true})
		for i, p := range []*person{alice, bob} {
			if join := next[centrifuge.JoinEvent](t, alice.journal, i+1); join.User != p.name {
				t.Fatalf("join %d: %+v", i+1, join)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		present, err := room.Presence(ctx)
		check(t, err)
		id := next[centrifuge.ConnectedEvent](t, bob.journal, 1).ClientID
		if len(present.Clients) != 2 || string(present.Clients[id].ConnInfo) != `{"name":"Bob"}` {
			t.Fatalf("%+v", present)
		}
		stats, err := room.PresenceStats(ctx)
		check(t, err)
		if stats.NumClients != 2 || stats.NumUsers != 2 {
			t.Fatalf("%+v", stats)
		}
		check(t, bob.client.Disconnect())
		if leave := next[centrifuge.LeaveEvent](t, alice.journal, 1); leave.User != bob.name {
			t.Fatalf("%+v", leave)
		}
	})
}

func TestHistory(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("stream")
		publishNumbers(t, channel, 1, 25)
		alice := w.connect(t, "alice", nil)
		subscription := alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		top, err := subscription.History(ctx)
		check(t, err)
		if top.Offset != 25 || len(top.Publications) != 0 {
			t.Fatalf("%+v", top)
		}
		since := &centrifuge.StreamPosition{Offset: 10, Epoch: top.Epoch}
		page, err := subscription.History(ctx, centrifuge.WithHistorySince(since), centrifuge.WithHistoryLimit(5))
		check(t, err)
		expectOffsets(t, page, 11, 12, 13, 14, 15)
		newest, err := subscription.History(ctx, centrifuge.WithHistoryReverse(true), centrifuge.WithHistoryLimit(3))
		check(t, err)
		expectOffsets(t, newest, 25, 24, 23)
		elsewhere := &centrifuge.StreamPosition{Offset: 10, Epoch: "elsewhere"}
		_, err = subscription.History(ctx, centrifuge.WithHistorySince(elsewhere), centrifuge.WithHistoryLimit(5))
		expectCode(t, err, 112)
	})
}

func TestRefusedChannels(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		for channel, code := range map[string]uint32{
			"nowhere:x": 102, "closed:x": 103, "$closed:x": 103, "limited:x#somebody-else": 103, "plain:канал": 107,
		} {
			alice := w.connect(t, "alice", nil)
			check(t, alice.prepare(t, channel, centrifuge.SubscriptionConfig{}).Subscribe())
			if end := next[centrifuge.UnsubscribedEvent](t, alice.journal, 1); end.Code != code {
				t.Fatalf("%s: %+v", channel, end)
			}
		}
	})
}

func TestRefusedPublish(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		alice := w.connect(t, "alice", nil)
		subscription := alice.subscribe(t, w.channel("plain"), centrifuge.SubscriptionConfig{})
		_, err := subscription.Publish(context.Background(), []byte(`{"n":1}`))
		expectCode(t, err, 103)
	})
}

func TestUserLimitedChannel(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, "limited:dialog#"+alice.name+",bob", centrifuge.SubscriptionConfig{})
	})
}

func TestSubscriptionTokenIsRefreshed(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		type refresh struct{}
		channel := "$" + w.channel("closed")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{
			GetToken: func(event centrifuge.SubscriptionTokenEvent) (string, error) {
				alice.record(refresh{})
				return w.token("alice", brief, claims{"channel": event.Channel}), nil
			},
		})
		next[refresh](t, alice.journal, 4)
		alice.ping(t)
		expectCount[centrifuge.SubscribedEvent](t, alice, 1)
	})
}

func TestSubscriptionThatIsNotRefreshedComesBack(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		var calls atomic.Int32
		channel := "$" + w.channel("closed")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{
			Token: w.token("alice", brief, claims{"channel": channel}),
			GetToken: func(centrifuge.SubscriptionTokenEvent) (string, error) {
				if calls.Add(1) == 1 {
					return "", errors.New("the backend is away")
				}
				return w.token("alice", time.Hour, claims{"channel": channel}), nil
			},
		})
		again := next[centrifuge.SubscribingEvent](t, alice.journal, 2)
		if again.Code != 2501 || !strings.Contains(again.Reason, "expired") {
			t.Fatalf("%+v", again)
		}
		// The first error is the application's; then the SDK repeats the old token and is told that it is expired.
		expectCode(t, next[centrifuge.SubscriptionErrorEvent](t, alice.journal, 2).Error, 109)
		next[centrifuge.SubscribedEvent](t, alice.journal, 2)
		expectCount[centrifuge.ConnectedEvent](t, alice, 1)
	})
}

func TestUnsubscribeByTheAPIIsFinal(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("stream")
		alice := w.connect(t, "alice", nil)
		alice.subscribe(t, channel, centrifuge.SubscriptionConfig{})
		running.api(t, "unsubscribe", claims{"user": alice.name, "channel": channel})
		end := next[centrifuge.UnsubscribedEvent](t, alice.journal, 1)
		if end.Code != 2000 || end.Reason != "server unsubscribe" {
			t.Fatalf("%+v", end)
		}
	})
}

func expectOffsets(t *testing.T, page centrifuge.HistoryResult, offsets ...uint64) {
	t.Helper()
	var found []uint64
	for _, publication := range page.Publications {
		found = append(found, publication.Offset)
	}
	if !slices.Equal(found, offsets) {
		t.Fatalf("expected %v, got %v", offsets, found)
	}
}

// expectConsecutive wants 1, 2, 3, …: order is the product's promise.
func expectConsecutive(t *testing.T, numbers []int) {
	t.Helper()
	for i, n := range numbers {
		if n != i+1 {
			t.Fatalf("out of order at %d: … %v …", i, numbers[max(0, i-3):min(len(numbers), i+4)])
		}
	}
}
