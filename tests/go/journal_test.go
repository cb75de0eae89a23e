package tidegate

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

const deadline = 20 * time.Second

// journal is what happened to one client, in order. A test never sleeps: it waits for an entry, and a wait that ends
// at its deadline tells what had happened by then.
type journal struct {
	owner string

	mutex   sync.Mutex
	entries []any
	news    chan struct{}
}

func newJournal(owner string) *journal {
	return &journal{owner: owner, news: make(chan struct{})}
}

func (j *journal) record(event any) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.entries = append(j.entries, event)
	close(j.news)
	j.news = make(chan struct{})
}

// all returns the events of a type, and a channel that is closed with the next event.
func all[E any](j *journal) ([]E, <-chan struct{}) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	var found []E
	for _, entry := range j.entries {
		if event, ok := entry.(E); ok {
			found = append(found, event)
		}
	}
	return found, j.news
}

// first waits until there are so many events of a type, and returns them.
func first[E any](t *testing.T, j *journal, count int) []E {
	t.Helper()
	over := time.After(deadline)
	for {
		found, news := all[E](j)
		if len(found) >= count {
			return found
		}
		select {
		case <-news:
		case <-over:
			var event E
			t.Fatalf("%s: %d of %d %T within %v; last events: %s", j.owner, len(found), count, event, deadline, j.tail())
		}
	}
}

// next waits for the event number nth, from 1, of a type.
func next[E any](t *testing.T, j *journal, nth int) E {
	t.Helper()
	return first[E](t, j, nth)[nth-1]
}

func (j *journal) tail() string {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	var last []string
	for _, entry := range j.entries[max(0, len(j.entries)-8):] {
		text := fmt.Sprintf("%T%+v", entry, entry)
		last = append(last, text[:min(len(text), 200)])
	}
	return strings.Join(last, "; ")
}
