package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/progress"
)

const queueHelp = `Lists the changes that are not yet in pCloud: pending, active (being sent) or
parked (refused by pCloud, kept with the reason until they are retried or
dropped; a new mount retries them too). Works also after unmounting: with
--cachedir, or with MOUNTPOINT while it is known what was mounted there last.
MOUNTPOINT may be left out if there is only one mount.

  pcloudfs queue retry [MOUNTPOINT] ID...|all   send parked changes again
  pcloudfs queue save [MOUNTPOINT] ID FILE      get the bytes out; - is standard
                                                output
  pcloudfs queue drop [MOUNTPOINT] ID...        give up changes for ever
`

// sampleTime is spent on measuring how fast active changes go.
const sampleTime = time.Second

// queueFlags are common to the commands about the queue.
type queueFlags struct{ cacheDir string }

func (f *queueFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.cacheDir, "cachedir", "", "the queue in `DIR`, of a folder that is not mounted")
}

func newQueue(env environment) *cobra.Command {
	var f queueFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:  "queue [MOUNTPOINT | --cachedir DIR] [--json]",
		Long: queueHelp,
		Args: arguments(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			args = append(args, "")
			return withQueue(env, "queue", args[0], f, func(ctx context.Context, q queue) error {
				items, err := q.items(ctx, sampleTime)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(env.stdout, items)
				}
				return printQueue(env.stdout, items)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(newQueueRetry(env), newQueueSave(env), newQueueDrop(env))
	return cmd
}

// withQueue opens the queue that a command is about and closes it.
func withQueue(env environment, name, mountpoint string, f queueFlags, do func(context.Context, queue) error) error {
	ctx := context.Background()
	q, err := openQueue(ctx, env, mountpoint, f.cacheDir)
	if err == nil {
		err = do(ctx, q)
		if cerr := q.close(); err == nil {
			err = cerr
		}
	}
	if err == nil || errors.As(err, new(usageError)) {
		return err
	}
	where := mountpoint
	if where == "" {
		where = f.cacheDir
	}
	return fmt.Errorf("%s: %w", strings.TrimSpace(name+" "+where), err)
}

// isID reports whether an argument is that of an item rather than a directory;
// a directory of such a name can be given as ./NAME.
func isID(arg string) bool {
	_, err := strconv.ParseUint(arg, 10, 64)
	return err == nil || arg == allItems
}

const allItems = "all"

// takeMountpoint finds the mount point before or behind the other arguments,
// of which there are at least n, the first of them an ID.
func takeMountpoint(args []string, n int) (mountpoint string, rest []string) {
	switch last := len(args) - 1; {
	case len(args) > n && !isID(args[0]):
		return args[0], args[1:]
	case len(args) > n && !isID(args[last]):
		return args[last], args[:last]
	}
	return "", args
}

func parseIDs(name string, args []string) ([]uint64, error) {
	var ids []uint64
	for _, arg := range args {
		id, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || id == 0 {
			return nil, usagef("%s: %q is not the ID of a change (see: pcloudfs queue)", name, arg)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printQueue prints a table and a sum.
func printQueue(w io.Writer, items []control.Item) error {
	if len(items) == 0 {
		_, err := fmt.Fprintln(w, "Everything is in pCloud.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSTATE\tWHAT\tSIZE\tSENT\tPATH")
	var sum control.Left
	for _, it := range items {
		sum.Pending++
		sum.Bytes += it.Bytes
		if it.State == cache.StateParked {
			sum.Parked++
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", it.ID, it.State, it.Op, size(it), sent(it), place(it))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s, %s; %d parked\n", progress.Changes(sum.Pending), progress.Bytes(sum.Bytes), sum.Parked)
	return err
}

func size(it control.Item) string {
	if it.Op != "put" {
		return "-"
	}
	return progress.Bytes(it.Bytes)
}

func sent(it control.Item) string {
	if it.Bytes == 0 || it.State == cache.StateParked || it.Sent == 0 && it.State != cache.StateActive {
		return "-"
	}
	s := fmt.Sprintf("%d%%", it.Sent*100/it.Bytes)
	if it.Rate > 0 {
		s += " " + progress.Bytes(it.Rate) + "/s"
	}
	return s
}

// place is where a change is and what is wrong with it.
func place(it control.Item) string {
	s := printable(it.Path)
	if it.Folder {
		s += "/"
	}
	if it.To != "" {
		s += " -> " + printable(it.To)
	}
	if it.Reason != "" {
		s += ": " + printable(it.Reason)
	}
	return s
}

// printable quotes text that would confuse a terminal or a table.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.QuoteToGraphic(s)
	}
	return s
}
