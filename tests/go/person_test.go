package tidegate

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// claims of a token.
type claims map[string]any

// world is what one test has to itself: an encoding, and names that nobody else uses.
type world struct {
	protocol string
	unique   string
}

// eachProtocol runs a test over JSON and over Protobuf, side by side.
func eachProtocol(t *testing.T, test func(t *testing.T, w world)) {
	t.Helper()
	t.Parallel()
	for _, protocol := range []string{"json", "protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			id := make([]byte, 5)
			_, _ = rand.Read(id)
			test(t, world{protocol: protocol, unique: hex.EncodeToString(id)})
		})
	}
}

func (w world) user(name string) string { return name + "-" + w.unique }

func (w world) channel(namespace string) string { return namespace + ":room-" + w.unique }

// brief is the life of tokens that a test sees expire. A token expires at a full second, and a slow machine may need
// one to make use of it.
const brief = 3 * time.Second

// token signs claims for the user; it lives so long, for ever if that is 0.
func (w world) token(name string, life time.Duration, more claims) string {
	content := claims{"sub": w.user(name)}
	if life != 0 {
		content["exp"] = time.Now().Add(life).Unix()
	}
	maps.Copy(content, more)
	head := encode(claims{"alg": "HS256", "typ": "JWT"}) + "." + encode(content)
	signature := hmac.New(sha256.New, []byte(running.secret))
	signature.Write([]byte(head))
	return head + "." + base64.RawURLEncoding.EncodeToString(signature.Sum(nil))
}

func encode(part claims) string {
	text, _ := json.Marshal(part)
	return base64.RawURLEncoding.EncodeToString(text)
}

// person is a client with its journal, on a link that can be cut.
type person struct {
	*journal
	name   string
	link   *link
	client *centrifuge.Client
}

// open makes a client that is on its way; the configuration is the SDK's.
func (w world) open(t *testing.T, name string, config centrifuge.Config) *person {
	t.Helper()
	p := &person{journal: newJournal(fmt.Sprintf("%s (%s)", name, w.protocol)), name: w.user(name), link: &link{}}
	config.NetDialContext = p.link.dial
	config.MinReconnectDelay = 20 * time.Millisecond
	config.MaxReconnectDelay = 200 * time.Millisecond
	endpoint := "ws://" + running.address + "/connection/websocket"
	if w.protocol == "json" {
		p.client = centrifuge.NewJsonClient(endpoint, config)
	} else {
		p.client = centrifuge.NewProtobufClient(endpoint, config)
	}
	p.client.OnConnecting(func(e centrifuge.ConnectingEvent) { p.record(e) })
	p.client.OnConnected(func(e centrifuge.ConnectedEvent) { p.record(e) })
	p.client.OnDisconnected(func(e centrifuge.DisconnectedEvent) { p.record(e) })
	p.client.OnError(func(e centrifuge.ErrorEvent) { p.record(e) })
	p.client.OnSubscribed(func(e centrifuge.ServerSubscribedEvent) { p.record(e) })
	p.client.OnSubscribing(func(e centrifuge.ServerSubscribingEvent) { p.record(e) })
	p.client.OnUnsubscribed(func(e centrifuge.ServerUnsubscribedEvent) { p.record(e) })
	p.client.OnPublication(func(e centrifuge.ServerPublicationEvent) { p.record(e) })
	p.client.OnJoin(func(e centrifuge.ServerJoinEvent) { p.record(e) })
	p.client.OnLeave(func(e centrifuge.ServerLeaveEvent) { p.record(e) })
	t.Cleanup(p.client.Close)
	check(t, p.client.Connect())
	return p
}

// connect makes a connected client of the user.
func (w world) connect(t *testing.T, name string, more claims) *person {
	t.Helper()
	p := w.open(t, name, centrifuge.Config{Token: w.token(name, time.Hour, more)})
	next[centrifuge.ConnectedEvent](t, p.journal, 1)
	return p
}

// prepare makes a subscription whose events are in the journal, and does not subscribe yet.
func (p *person) prepare(t *testing.T, channel string, config centrifuge.SubscriptionConfig) *centrifuge.Subscription {
	t.Helper()
	config.MinResubscribeDelay = 20 * time.Millisecond
	config.MaxResubscribeDelay = 200 * time.Millisecond
	subscription, err := p.client.NewSubscription(channel, config)
	check(t, err)
	subscription.OnSubscribing(func(e centrifuge.SubscribingEvent) { p.record(e) })
	subscription.OnSubscribed(func(e centrifuge.SubscribedEvent) { p.record(e) })
	subscription.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) { p.record(e) })
	subscription.OnError(func(e centrifuge.SubscriptionErrorEvent) { p.record(e) })
	subscription.OnPublication(func(e centrifuge.PublicationEvent) { p.record(e) })
	subscription.OnJoin(func(e centrifuge.JoinEvent) { p.record(e) })
	subscription.OnLeave(func(e centrifuge.LeaveEvent) { p.record(e) })
	return subscription
}

// subscribe subscribes and waits for the answer.
func (p *person) subscribe(t *testing.T, channel string, config centrifuge.SubscriptionConfig) *centrifuge.Subscription {
	t.Helper()
	before, _ := all[centrifuge.SubscribedEvent](p.journal)
	subscription := p.prepare(t, channel, config)
	check(t, subscription.Subscribe())
	next[centrifuge.SubscribedEvent](t, p.journal, len(before)+1)
	return subscription
}

// numbers waits for so many publications and returns the `n` of each.
func (p *person) numbers(t *testing.T, count int) []int {
	t.Helper()
	var numbers []int
	for _, publication := range first[centrifuge.PublicationEvent](t, p.journal, count) {
		numbers = append(numbers, number(t, publication.Data))
	}
	return numbers
}

func number(t *testing.T, data []byte) int {
	t.Helper()
	value := struct {
		N int `json:"n"`
	}{}
	check(t, json.Unmarshal(data, &value))
	return value.N
}

// cut breaks the link and waits until the client has noticed.
func (p *person) cut(t *testing.T) {
	t.Helper()
	before, _ := all[centrifuge.ConnectingEvent](p.journal)
	p.link.cut()
	next[centrifuge.ConnectingEvent](t, p.journal, len(before)+1)
}

// mend restores the link and waits until the client is back.
func (p *person) mend(t *testing.T) {
	t.Helper()
	before, _ := all[centrifuge.ConnectedEvent](p.journal)
	p.link.mend()
	next[centrifuge.ConnectedEvent](t, p.journal, len(before)+1)
}

// ping makes a round trip: what was sent before it has been handled.
func (p *person) ping(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	_, err := p.client.RPC(ctx, "ping", []byte(`{}`))
	check(t, err)
}

// publishNumbers publishes count times by the API: {"n": from}, {"n": from + 1}, …
func publishNumbers(t *testing.T, channel string, from, count int) {
	t.Helper()
	for n := from; n < from+count; n++ {
		running.api(t, "publish", claims{"channel": channel, "data": claims{"n": n}})
	}
}

// link is a network that can be cut: what is open breaks, and nothing can be opened until it is mended.
type link struct {
	mutex sync.Mutex
	down  bool
	open  []net.Conn
}

func (l *link) dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.down {
		return nil, errors.New("the link is cut")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil {
		l.open = append(l.open, conn)
	}
	return conn, err
}

func (l *link) cut() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.down = true
	for _, conn := range l.open {
		_ = conn.Close()
	}
	l.open = nil
}

func (l *link) mend() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.down = false
}
