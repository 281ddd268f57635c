package upload

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pcloudfs/pcloudfs/remote"
)

var (
	seeds = flag.Int("upload.seeds", 10000, "histories to run")
	seed1 = flag.Uint64("upload.seed", 0, "the only history to run")
)

// TestHistories runs uploads through everything that can go wrong, until they
// succeed, and looks at what is in pCloud afterwards and was at any moment.
func TestHistories(t *testing.T) {
	t.Parallel()
	first, n := uint64(1), *seeds
	if *seed1 != 0 {
		first, n = *seed1, 1
	}
	for seed := first; seed < first+uint64(n); seed++ {
		synctest.Test(t, func(t *testing.T) {
			h := newHistory(seed)
			err := h.run(t.Context())
			time.Sleep(time.Minute) // whatever is late
			if err == nil {
				err = h.check()
			}
			if err != nil {
				t.Fatalf("%v\n%s\ncalls: %s\nrepeat with -upload.seed=%d", err, h, strings.Join(h.f.calls, " "), seed)
			}
		})
	}
}

const chunkSize = 64

// history is one file that has to go up.
type history struct {
	rnd    *rand.Rand
	f      *fake
	way    string // single, session, parallel, whole
	target remote.UploadTarget
	ours   []byte
	old    []byte   // what the name had at first; nil: nothing
	others [][]byte // what somebody else has put there since

	mu      sync.Mutex // guards rnd and foreign while calls are made
	faults  int        // still to come
	foreign int        // writes of somebody else, still to come
	crashes int        // calls that were cut off, and what they left to clean up
	harm    bool
	result  Result
}

func (h *history) String() string {
	return fmt.Sprintf("%s of %d bytes, old %d bytes (nil %v), condition %+v, lag %v, hash by content %v, others %d, crashes %d",
		h.way, len(h.ours), len(h.old), h.old == nil, h.target.If, h.f.lag, h.f.byContent, len(h.others), h.crashes)
}

func newHistory(seed uint64) *history {
	rnd := rand.New(rand.NewPCG(seed, 0))
	h := &history{rnd: rnd, f: newFake(seed), faults: rnd.IntN(10)}
	h.way = []string{"single", "session", "parallel", "whole"}[rnd.IntN(4)]
	h.f.byContent = rnd.IntN(2) == 0
	if rnd.IntN(4) == 0 {
		h.f.lag = time.Duration(rnd.IntN(1000)) * time.Millisecond
	}
	most := 6 * chunkSize
	if h.way == "parallel" {
		most = 40 * chunkSize
	}
	h.ours = h.bytes(rnd.IntN(most))
	h.target = remote.UploadTarget{Parent: 7, Name: "a.txt", Modified: time.Unix(1_700_000_000, 5)}
	h.f.changed()
	var e remote.Entry
	switch rnd.IntN(4) {
	case 0: // nothing there
	case 1:
		h.old = bytes.Clone(h.ours)
		e = h.f.write("a.txt", h.old)
	default:
		h.old = h.bytes(rnd.IntN(100))
		e = h.f.write("a.txt", h.old)
	}
	switch rnd.IntN(4) {
	case 0: // overwrite whatever is there
	case 1:
		h.target.If = remote.IfNew()
	default:
		h.target.If = remote.IfNew()
		if h.old != nil {
			h.target.If = remote.IfHash(e.Hash)
		}
	}
	h.harm = h.way == "single" && rnd.IntN(4) == 0
	if h.way != "whole" && !h.harm && rnd.IntN(3) == 0 {
		h.foreign = 1 + rnd.IntN(2)
	}
	h.f.fault = h.fault
	h.f.before = h.before
	return h
}

func (h *history) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + h.rnd.IntN(26))
	}
	return b
}

// before lets somebody else act between any two calls. Only not between the
// look at a file that pCloud says is damaged and its removal, which cannot be
// made one step.
func (h *history) before(method string) {
	if h.way == "single" && (method == "deletefile" || method == "revertrevision") {
		return
	}
	if data := h.intruder(); data != nil {
		h.f.write("a.txt", data)
	}
}

// intruder says what somebody else writes now, nil if nothing.
func (h *history) intruder() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.foreign == 0 || h.rnd.IntN(4) > 0 {
		return nil
	}
	h.foreign--
	data := h.bytes(200 + len(h.others))
	h.others = append(h.others, data)
	return data
}

func (h *history) fault(method string) fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.faults == 0 || h.rnd.IntN(3) > 0 {
		return fine
	}
	h.faults--
	kinds := []fault{refused, lostBefore, lostAfter}
	switch method {
	case "uploadfile":
		kinds = append(kinds, partly, garbled, nonsense)
		if h.harm {
			kinds = append(kinds, corrupt, corrupt)
		} else {
			kinds = append(kinds, late)
		}
	case "upload_write":
		kinds = append(kinds, late, partly, partly, forgotten, corrupt)
	case "upload_writefromupload":
		kinds = append(kinds, late, partly, forgotten, corrupt)
		if h.rnd.IntN(5) == 0 {
			return forbidden
		}
	case "upload_info":
		kinds = append(kinds, garbled, forgotten)
	case "upload_save":
		kinds = append(kinds, late, forgotten, nonsense)
	case "renamefile":
		kinds = append(kinds, late, nonsense)
	case "deletefile":
		kinds = append(kinds, late)
	case "upload_create":
		if h.rnd.IntN(5) == 0 && h.foreign == 0 && len(h.others) == 0 {
			return forbidden
		}
	}
	return kinds[h.rnd.IntN(len(kinds))]
}

// run repeats the upload until it succeeds, as a caller does that may be
// killed at any moment.
func (h *history) run(ctx context.Context) error {
	var kept State // what is in the journal
	u := h.uploader()
	for range 40 {
		cctx, cancel := context.WithCancel(ctx)
		if h.faults > 0 && h.rnd.IntN(4) == 0 {
			h.crashes++
			time.AfterFunc(time.Duration(h.rnd.IntN(900))*time.Millisecond, cancel)
		}
		r, err := h.attempt(cctx, u, &kept)
		cut := cctx.Err() != nil
		cancel()
		if err == nil {
			h.result = r
			return nil
		}
		if err := h.acceptable(err, cut); err != nil {
			return err
		}
		// Longer than what is late takes: if that comes after a success, there
		// is nobody left to notice.
		time.Sleep(200*time.Millisecond + time.Duration(h.rnd.IntN(3000))*time.Millisecond)
		if h.rnd.IntN(2) == 0 {
			u = h.uploader()
		}
	}
	return errors.New("no success although all faults were used up")
}

func (h *history) uploader() *Uploader {
	o := Options{Remote: h.f, Chunk: chunkSize, Threshold: 1}
	if h.way == "parallel" {
		o.Remote, o.Streams = joining{h.f}, 2+h.rnd.IntN(4)
	}
	return New(o)
}

func (h *history) attempt(ctx context.Context, u *Uploader, kept *State) (Result, error) {
	src := source(h.ours)
	switch h.way {
	case "single":
		return u.Single(ctx, h.target, src)
	case "whole":
		return u.Whole(ctx, h.target, src)
	}
	sent := int64(-1)
	st, err := u.Transfer(ctx, src, *kept, func(s State) error {
		*kept = Recorded(s.Journal())
		return nil
	}, func(n int64) { sent = n })
	switch {
	case errors.Is(err, ErrNoSessions):
		h.way = "whole"
		return Result{}, err
	case err != nil:
		return Result{}, err
	case !cmp.Equal(st, *kept) || !st.Done || st.Size != src.Size():
		return Result{}, fmt.Errorf("state %+v, kept %+v", st, *kept)
	case sent > src.Size():
		return Result{}, fmt.Errorf("progress %d of %d", sent, src.Size())
	}
	r, err := u.Publish(ctx, h.target, st)
	if errors.Is(err, remote.ErrNoUpload) {
		*kept = State{}
	}
	return r, err
}

// acceptable returns an error if err is none that may happen here.
func (h *history) acceptable(err error, cut bool) error {
	switch {
	case cut && errors.Is(err, context.Canceled):
	case errors.Is(err, remote.ErrTemporary), errors.Is(err, remote.ErrNoUpload), errors.Is(err, remote.ErrUploadOffset),
		errors.Is(err, ErrNoSessions), errors.Is(err, ErrMismatch), errors.Is(err, remote.ErrProtocol):
	default:
		return fmt.Errorf("unexpected: %w", err)
	}
	return nil
}

// check compares the end with the promises of the package.
func (h *history) check() error {
	r, now := h.result, h.f.at("a.txt")
	if r.Entry.Size != int64(len(h.ours)) {
		return fmt.Errorf("entry has %d bytes", r.Entry.Size)
	}
	copies := h.f.holding(h.ours)
	if !slices.Contains(copies, r.Entry.Name) && len(h.others) == 0 {
		return fmt.Errorf("not at %q but at %q", r.Entry.Name, copies)
	}
	if r.Conflicted == (r.Entry.Name == "a.txt") {
		return fmt.Errorf("conflicted %v at %q", r.Conflicted, r.Entry.Name)
	}
	if h.target.If == (remote.Condition{}) && r.Conflicted {
		return errors.New("a conflict without a condition")
	}
	// None if somebody has overwritten it since. A copy that listings do not
	// show until after it was looked for, which is 375 ms after a reply was lost,
	// cannot be removed; what is late takes 200 ms.
	limit := 1
	if h.f.lag > 150*time.Millisecond {
		limit = 2 + h.crashes
	}
	if len(copies) > limit {
		return fmt.Errorf("copies at %q", copies)
	}
	if !r.Conflicted && len(h.others) == 0 && !bytes.Equal(now, h.ours) {
		return fmt.Errorf("the name has %q", now)
	}
	if err := h.checkOthers(r); err != nil {
		return err
	}
	return h.checkShown()
}

// checkOthers makes sure that nothing of somebody else was overwritten.
func (h *history) checkOthers(r Result) error {
	if h.target.If == (remote.Condition{}) {
		return nil
	}
	seen := h.f.shown["a.txt"]
	for i, b := range seen {
		if i+1 < len(seen) && slices.ContainsFunc(h.others, func(o []byte) bool { return bytes.Equal(o, b) }) &&
			bytes.Equal(seen[i+1], h.ours) {
			return fmt.Errorf("the name had %q, which was overwritten", b)
		}
	}
	return nil
}

// checkShown makes sure that no name ever had anything but whole versions, and
// that nothing is left over.
func (h *history) checkShown() error {
	for name, seen := range h.f.shown {
		if h.harm {
			break // pCloud itself has spoiled it
		}
		if strings.HasPrefix(name, TempPrefix) {
			continue
		}
		for _, b := range seen {
			all := append([][]byte{h.ours, h.old}, h.others...)
			if !slices.ContainsFunc(all, func(o []byte) bool { return o != nil && bytes.Equal(o, b) }) {
				return fmt.Errorf("%q had %q", name, b)
			}
		}
	}
	for _, v := range h.f.files {
		if strings.HasPrefix(v.Name, TempPrefix) && h.f.lag <= 150*time.Millisecond {
			return fmt.Errorf("temporary file %q is left", v.Name)
		}
		if h.harm && h.crashes == 0 && !bytes.Equal(v.data, h.ours) && !bytes.Equal(v.data, h.old) {
			return fmt.Errorf("damaged file %q is left", v.Name)
		}
	}
	return nil
}
