package upload

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pcloudfs/pcloudfs/remote"
)

var (
	// ErrMismatch: the server's digest was wrong every time. What it stored
	// has been taken away from the name as far as possible.
	ErrMismatch = errors.New("pCloud does not hold the bytes that were sent")

	// ErrSourceChanged: the source did not have the same size or bytes
	// throughout.
	ErrSourceChanged = errors.New("source changed during the upload")

	// ErrNoSessions: the server refuses upload sessions to this token. Use
	// Whole.
	ErrNoSessions = errors.New("upload sessions are refused")

	// ErrBytesGone: the upload would have to begin anew, but bytes that were
	// sent have left the source since (State.Gone). The state stays as it is;
	// if the session should turn up again, the call can be repeated.
	ErrBytesGone = errors.New("the only copy of the bytes, an upload session, cannot be used")

	// ErrNotVerified: Publish was given a session that Transfer did not finish.
	ErrNotVerified = errors.New("upload session is not verified")
)

// Remote is what an [Uploader] needs of pCloud; [remote.Client] has it. Its
// errors match the sentinels of package remote, and say by Uncertain() bool that
// the call may have taken effect.
type Remote interface {
	List(ctx context.Context, id remote.FolderID) (remote.Folder, error)
	Stat(ctx context.Context, id remote.FileID) (remote.Entry, error)
	Checksum(ctx context.Context, id remote.FileID) (remote.Entry, remote.Checksums, error)
	RenameFile(ctx context.Context, id remote.FileID, to remote.FolderID, name string) (remote.Entry, error)
	DeleteFile(ctx context.Context, id remote.FileID) error

	UploadFile(ctx context.Context, t remote.UploadTarget, r io.ReaderAt, size int64) (remote.Entry, remote.Checksums, error)

	CreateUpload(ctx context.Context, size int64) (remote.UploadID, error)
	WriteUpload(ctx context.Context, id remote.UploadID, off int64, r io.ReaderAt, n int64) error
	UploadInfo(ctx context.Context, id remote.UploadID) (remote.UploadStatus, error)
	SaveUpload(ctx context.Context, id remote.UploadID, t remote.UploadTarget) (remote.Entry, error)
	DeleteUpload(ctx context.Context, id remote.UploadID) error
}

// Options configure an [Uploader]. Only Remote is required.
type Options struct {
	Remote Remote

	// Threshold is the size in bytes up to which Small says yes. Default 4 MiB.
	Threshold int64

	// Chunk is how many bytes one request of a session carries. Default 8 MiB.
	Chunk int64

	// Streams is how many sessions one file may use at a time. Those beside the
	// first run only while fewer streams than that are busy in all. They need
	// a Remote that can join sessions. Default 4; 1 is none beside the first.
	Streams int

	// Tries is how often in a row a step may fail for a temporary reason,
	// without any progress, before its error is returned. Remote may have made
	// several attempts for each. Default 3.
	Tries int

	// PauseMin and PauseMax bound the pauses between tries, which double.
	// Defaults 500 ms and 8 s.
	PauseMin, PauseMax time.Duration

	// Log may be nil.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Threshold <= 0 {
		o.Threshold = 4 << 20
	}
	if o.Chunk <= 0 {
		o.Chunk = 8 << 20
	}
	if o.Streams <= 0 {
		o.Streams = 4
	}
	if o.Tries <= 0 {
		o.Tries = 3
	}
	if o.PauseMin <= 0 {
		o.PauseMin = 500 * time.Millisecond
	}
	if o.PauseMax <= 0 {
		o.PauseMax = 8 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Uploader uploads files. It is safe for concurrent use, except that at most
// one call may be under way for one target or session.
type Uploader struct {
	o       Options
	refused atomic.Int64 // unix time until which sessions count as refused; 0: never were
	joins   joins        // whether sessions can be joined
	streams *streams     // of all transfers
}

// New returns an Uploader. It makes no calls.
func New(o Options) *Uploader {
	o = o.withDefaults()
	return &Uploader{o: o, streams: newStreams(o.Streams)}
}

// Source is the content of a file. It is constant while it is uploaded.
type Source interface {
	io.ReaderAt
	Size() int64
}

// Result is a finished upload.
type Result struct {
	Entry remote.Entry
	SHA1  remote.SHA1

	// Conflicted: the target's condition did not hold, so the bytes are at
	// Entry.Name, which is not the name that was asked for.
	Conflicted bool
}

// Small says whether a file of that size should go up with Single.
func (u *Uploader) Small(size int64) bool { return size <= u.o.Threshold }

// pause waits before the n-th repetition (from 1).
func (u *Uploader) pause(ctx context.Context, n int) error {
	d := u.o.PauseMin
	for i := 1; i < n && d < u.o.PauseMax; i++ {
		d *= 2
	}
	d = min(d, u.o.PauseMax)
	t := time.NewTimer(d - rand.N(d/4+1))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retry calls f until it succeeds, fails for good, or has failed Tries times.
// f must be safe to repeat.
func (u *Uploader) retry(ctx context.Context, f func() error) error {
	return u.retryTimes(ctx, u.o.Tries, f)
}

// insist is retry for what cannot be left to the caller to repeat.
func (u *Uploader) insist(ctx context.Context, f func() error) error {
	return u.retryTimes(ctx, 5*u.o.Tries, f)
}

func (u *Uploader) retryTimes(ctx context.Context, tries int, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil || ctx.Err() != nil || !temporary(err) || n >= tries {
			return err
		}
		if u.pause(ctx, n) != nil {
			return err
		}
	}
}

// temporary says whether the same call may succeed later.
func temporary(err error) bool { return errors.Is(err, remote.ErrTemporary) }

// uncertain says whether the failed call may have taken effect.
func uncertain(err error) bool {
	var e interface{ Uncertain() bool }
	return errors.As(err, &e) && e.Uncertain()
}
