package dns

import (
	"container/list"
	"time"
)

// Bounds of a cache.
const (
	DefaultEntries = 10_000
	DefaultBytes   = 8 << 20

	entryBytes = 256 // of an entry beyond what is in it
)

// Key is a question as a cache knows it: what several servers say may differ.
type Key struct {
	Servers string
	Name    string
	Type    uint16
	DO, CD  bool
}

// Key gives the key of the question when it is asked of those servers.
func (e *Elsewhere) Key(servers string) Key {
	return Key{servers, e.Name, e.Type, e.DO, e.CD}
}

// CacheOptions bound a cache.
type CacheOptions struct {
	Entries int // optional: DefaultEntries
	Bytes   int // optional: DefaultBytes
}

// Cache keeps answers for as long as they may be. When it is full, what was not asked for the longest gives way. It is used by one goroutine at a time.
type Cache struct {
	opts    CacheOptions
	entries map[Key]*list.Element
	recent  list.List // of *cached; in front what was asked for last
	bytes   int
}

type cached struct {
	key    Key
	answer *Answer
}

// NewCache gives an empty cache.
func NewCache(o CacheOptions) *Cache {
	if o.Entries == 0 {
		o.Entries = DefaultEntries
	}
	if o.Bytes == 0 {
		o.Bytes = DefaultBytes
	}
	return &Cache{opts: o, entries: map[Key]*list.Element{}}
}

// Get gives the answer to a question, nil if none is kept.
func (c *Cache) Get(k Key, now time.Time) *Answer {
	e, ok := c.entries[k]
	if !ok {
		return nil
	}
	a := e.Value.(*cached).answer
	if now.Sub(a.at) >= time.Duration(a.ttl)*time.Second {
		c.drop(e)
		return nil
	}
	c.recent.MoveToFront(e)
	return a
}

// Put keeps an answer, if it may be kept at all.
func (c *Cache) Put(k Key, a *Answer) {
	if e, ok := c.entries[k]; ok {
		c.drop(e)
	}
	if a.ttl == 0 || cost(k, a) > c.opts.Bytes {
		return
	}
	c.entries[k] = c.recent.PushFront(&cached{k, a})
	c.bytes += cost(k, a)
	for len(c.entries) > c.opts.Entries || c.bytes > c.opts.Bytes {
		c.drop(c.recent.Back())
	}
}

// Len gives the number of answers, and about how many bytes they take.
func (c *Cache) Len() (entries, bytes int) { return len(c.entries), c.bytes }

func (c *Cache) drop(e *list.Element) {
	d := c.recent.Remove(e).(*cached)
	delete(c.entries, d.key)
	c.bytes -= cost(d.key, d.answer)
}

func cost(k Key, a *Answer) int { return entryBytes + len(k.Name) + len(k.Servers) + 4*a.size }
