package tidegate

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

func TestConnectWithToken(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		alice := w.connect(t, "alice", nil)
		connected := next[centrifuge.ConnectedEvent](t, alice.journal, 1)
		if len(connected.ClientID) != 36 || !strings.HasSuffix(connected.Version, "Tidegate") {
			t.Fatalf("%+v", connected)
		}
		alice.ping(t)
	})
}

func TestUnknownMethod(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		alice := w.connect(t, "alice", nil)
		_, err := alice.client.RPC(context.Background(), "nowhere", []byte(`{}`))
		expectCode(t, err, 104)
	})
}

func TestInvalidTokenIsFinal(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		alice := w.open(t, "alice", centrifuge.Config{Token: "not.a.token"})
		expectEnd(t, alice, 3500, "invalid token")
	})
}

func TestNoTokenIsFinal(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		alice := w.open(t, "alice", centrifuge.Config{})
		expectEnd(t, alice, 3501, "bad request")
	})
}

func TestExpiredTokenIsReplaced(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		alice := w.open(t, "alice", centrifuge.Config{
			Token:    w.token("alice", -time.Minute, nil),
			GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) { return w.token("alice", time.Hour, nil), nil },
		})
		next[centrifuge.ConnectedEvent](t, alice.journal, 1)
		expectCode(t, next[centrifuge.ErrorEvent](t, alice.journal, 1).Error, 109)
	})
}

func TestConnectionIsRefreshed(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		type refresh struct{}
		journal := newJournal("refreshes")
		alice := w.open(t, "alice", centrifuge.Config{
			GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) {
				journal.record(refresh{})
				return w.token("alice", brief, nil), nil
			},
		})
		// The first is for the connect; three lifetimes are longer than one and the grace after it.
		next[refresh](t, journal, 4)
		alice.ping(t)
		expectCount[centrifuge.ConnectedEvent](t, alice, 1)
	})
}

func TestRefreshThatFailsForAWhile(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		var calls atomic.Int32
		alice := w.open(t, "alice", centrifuge.Config{
			GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) {
				switch calls.Add(1) {
				case 1:
					return w.token("alice", brief, nil), nil
				case 2:
					return "", errors.New("the backend is away")
				default:
					return w.token("alice", time.Hour, nil), nil
				}
			},
		})
		next[centrifuge.ConnectedEvent](t, alice.journal, 1)
		var failed centrifuge.RefreshError
		if err := next[centrifuge.ErrorEvent](t, alice.journal, 1).Error; !errors.As(err, &failed) {
			t.Fatalf("%v", err)
		}
		alice.ping(t)
	})
}

func TestConnectionThatIsNotRefreshedEnds(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		var once sync.Once
		later := make(chan struct{})
		t.Cleanup(func() { once.Do(func() { close(later) }) })
		alice := w.open(t, "alice", centrifuge.Config{
			Token: w.token("alice", brief, nil),
			GetToken: func(centrifuge.ConnectionTokenEvent) (string, error) {
				<-later
				return w.token("alice", time.Hour, nil), nil
			},
		})
		again := next[centrifuge.ConnectingEvent](t, alice.journal, 2)
		if again.Code != 3005 || again.Reason != "connection expired" {
			t.Fatalf("%+v", again)
		}
		once.Do(func() { close(later) })
		next[centrifuge.ConnectedEvent](t, alice.journal, 2)
	})
}

func TestDisconnectByTheAPI(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		alice, bob := w.connect(t, "alice", nil), w.connect(t, "bob", nil)
		running.api(t, "disconnect", claims{"user": alice.name})
		expectEnd(t, alice, 3503, "force disconnect")
		running.api(t, "disconnect", claims{"user": bob.name, "disconnect": claims{"code": 4501, "reason": "bye"}})
		expectEnd(t, bob, 4501, "bye")
	})
}

func TestDisconnectThatLetsReconnect(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		alice := w.connect(t, "alice", nil)
		running.api(t, "disconnect", claims{"user": alice.name, "disconnect": claims{"code": 4000, "reason": "later"}})
		again := next[centrifuge.ConnectingEvent](t, alice.journal, 2)
		if again.Code != 4000 || again.Reason != "later" {
			t.Fatalf("%+v", again)
		}
		next[centrifuge.ConnectedEvent](t, alice.journal, 2)
	})
}

func TestServerSideSubscription(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("stream")
		alice := w.connect(t, "alice", claims{"channels": []string{channel}})
		subscribed := next[centrifuge.ServerSubscribedEvent](t, alice.journal, 1)
		if subscribed.Channel != channel || !subscribed.Recoverable || !subscribed.Positioned {
			t.Fatalf("%+v", subscribed)
		}
		publishNumbers(t, channel, 1, 3)
		next[centrifuge.ServerPublicationEvent](t, alice.journal, 3)

		alice.cut(t)
		publishNumbers(t, channel, 4, 10)
		alice.mend(t)
		again := next[centrifuge.ServerSubscribedEvent](t, alice.journal, 2)
		if !again.WasRecovering || !again.Recovered {
			t.Fatalf("%+v", again)
		}
		for i, publication := range first[centrifuge.ServerPublicationEvent](t, alice.journal, 13) {
			if number(t, publication.Data) != i+1 {
				t.Fatalf("publication %d: %s", i+1, publication.Data)
			}
		}
	})
}

func TestSubscribeByTheAPI(t *testing.T) {
	eachProtocol(t, func(t *testing.T, w world) {
		channel := w.channel("stream")
		alice := w.connect(t, "alice", nil)
		running.api(t, "subscribe", claims{"user": alice.name, "channel": channel, "data": claims{"hello": "there"}})
		subscribed := next[centrifuge.ServerSubscribedEvent](t, alice.journal, 1)
		data := map[string]string{}
		check(t, json.Unmarshal(subscribed.Data, &data))
		if data["hello"] != "there" {
			t.Fatalf("%s", subscribed.Data)
		}
		publishNumbers(t, channel, 1, 1)
		next[centrifuge.ServerPublicationEvent](t, alice.journal, 1)
		running.api(t, "unsubscribe", claims{"user": alice.name, "channel": channel})
		next[centrifuge.ServerUnsubscribedEvent](t, alice.journal, 1)
	})
}

// expectCode wants an error of the server with that code.
func expectCode(t *testing.T, err error, code uint32) {
	t.Helper()
	var refused *centrifuge.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("expected error %d, got %v", code, err)
	}
}

// expectEnd wants the client to have given up with that code.
func expectEnd(t *testing.T, p *person, code uint32, reason string) {
	t.Helper()
	end := next[centrifuge.DisconnectedEvent](t, p.journal, 1)
	if end.Code != code || end.Reason != reason {
		t.Fatalf("expected %d %q, got %+v", code, reason, end)
	}
}

// expectCount wants so many events of a type by now.
func expectCount[E any](t *testing.T, p *person, count int) {
	t.Helper()
	if found, _ := all[E](p.journal); len(found) != count {
		t.Fatalf("%d of %T, expected %d", len(found), found, count)
	}
}
