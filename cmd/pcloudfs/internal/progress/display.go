package progress

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/pcloudfs/pcloudfs/cache"
)

const (
	// patience is how long nothing is said: most queues are sent by then.
	patience = 2 * time.Second

	// lineEvery is how often a line is printed where no bar can be.
	lineEvery = 5 * time.Second
)

// Display shows the progress of a queue: as a bar on a terminal, as a line now
// and then elsewhere.
type Display struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil: lines
	meter Meter
	base  int64     // bytes that had been sent before
	start time.Time // of the first Update
	said  time.Time // last line
}

// New makes a display on w.
func New(w io.Writer) *Display {
	d := &Display{w: w}
	if IsTerminal(w) {
		d.bar = progressbar.NewOptions64(1,
			progressbar.OptionSetWriter(w), progressbar.OptionClearOnFinish(), progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetWidth(20), progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionThrottle(0),
		)
	}
	return d
}

// IsTerminal reports whether a reader or writer is a terminal.
func IsTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Update shows the state of the queue at a time.
func (d *Display) Update(now time.Time, s cache.Status) {
	d.meter.Add(now, s)
	if d.start.IsZero() {
		d.start, d.base = now, s.Done
	}
	switch {
	case now.Sub(d.start) < patience:
	case d.bar != nil:
		sent := s.Done - d.base + s.Sent
		d.bar.ChangeMax64(max(1, sent+d.meter.Left()))
		d.bar.Describe(d.meter.String())
		_ = d.bar.Set64(min(sent, d.bar.GetMax64()-1)) // never full: that would end it
	case now.Sub(d.said) >= lineEvery:
		d.said = now
		fmt.Fprintln(d.w, d.meter.String())
	}
}

// Finish takes the bar away, so that other things can be printed.
func (d *Display) Finish() {
	if d.bar != nil && d.meter.samples != nil {
		_ = d.bar.Clear()
	}
}
