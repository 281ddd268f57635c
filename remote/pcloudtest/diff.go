package pcloudtest

import (
	"context"
	"errors"
	"math"
	"net/http"

	"github.com/pcloudfs/pcloudfs/remote/pcloudtest/internal/store"
)

func feedMethods() map[string]method {
	return map[string]method{
		"diff": {run: (*call).diff, access: users},
	}
}

// diff returns what happened since a cursor (pCloud API 11.1).
func (c *call) diff() error {
	limit := 0
	if n, ok := c.params.number("limit"); ok {
		limit = int(min(n, math.MaxInt32))
	}
	switch since, ok := c.params.number("diffid"); {
	case ok:
		return c.diffSince(since, limit, c.params.bool("block"))
	case c.params["last"] != "":
		n, ok := c.params.number("last")
		if !ok {
			return c.diffSince(0, limit, false)
		}
		return c.diffReply(c.view.LastEvents(int(min(n, math.MaxInt32))))
	case c.params["after"] != "":
		t, err := c.params.date("after")
		if err != nil {
			return err
		}
		return c.diffReply(c.view.DiffAfter(*t, limit))
	}
	return c.diffSince(0, limit, false)
}

// diffSince answers at once if there is something to report or block is not
// set; otherwise when something happens, after a time limit, or when the
// client sends its next request.
func (c *call) diffSince(since uint64, limit int, block bool) error {
	events, next, err := c.view.Diff(since, limit)
	if err != nil || len(events) > 0 || !block {
		return c.diffReply(events, next, err)
	}
	if err := c.waitEvent(since); err != nil {
		return err
	}
	return c.diffReply(c.view.Diff(since, limit))
}

// waitEvent waits for an event after since. No error means that it is time to
// answer.
func (c *call) waitEvent(since uint64) error {
	ctx, cancel := context.WithTimeout(c.ctx(), c.s.o.Quirks.BlockTimeout)
	defer cancel()
	next := c.conn.nextRequest()
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		select {
		case <-next:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := c.view.Wait(ctx, since)
	cancel()
	<-woken
	switch {
	case c.ctx().Err() != nil:
		panic(http.ErrAbortHandler) // the client has gone, or the server closes
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil
	}
	return err
}

func (c *call) diffReply(events []store.Event, next uint64, err error) error {
	if err != nil {
		return err
	}
	all := make(list, 0, len(events))
	for _, e := range events {
		all = append(all, c.event(e))
	}
	c.add("diffid", next)
	c.add("entries", all)
	return nil
}

func (c *call) event(e store.Event) object {
	o := object{{"event", e.Type}, {"time", e.Time}, {"diffid", e.ID}}
	switch e.Type {
	case store.EventReset:
	case store.EventModifyUserInfo:
		o = append(o, member{"userinfo", c.s.userInfo()})
	default:
		o = append(o, member{"metadata", &metadata{node: e.Node}})
	}
	return o
}
