package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pcloudfs/pcloudfs/cache"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/control"
	"github.com/pcloudfs/pcloudfs/cmd/pcloudfs/internal/progress"
)

func newQueueRetry(env environment) *cobra.Command {
	var f queueFlags
	cmd := &cobra.Command{
		Use:  "retry [MOUNTPOINT | --cachedir DIR] ID...|all",
		Long: "Sends parked changes to pCloud again.\n",
		Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			mountpoint, args := takeMountpoint(args, 1)
			var ids []uint64 // none: all
			if !slices.Equal(args, []string{allItems}) {
				var err error
				if ids, err = parseIDs("queue retry", args); err != nil {
					return err
				}
			}
			return withQueue(env, "queue retry", mountpoint, f, func(ctx context.Context, q queue) error {
				return q.retry(ctx, ids)
			})
		},
	}
	f.register(cmd)
	return cmd
}

func newQueueSave(env environment) *cobra.Command {
	var f queueFlags
	cmd := &cobra.Command{
		Use:  "save [MOUNTPOINT | --cachedir DIR] ID FILE",
		Long: "Writes the bytes of a change to FILE, a new one; - is standard output.\n",
		Args: arguments(2, 3),
		RunE: func(_ *cobra.Command, args []string) error {
			mountpoint := ""
			if len(args) == 3 && isID(args[0]) { // ID FILE MOUNTPOINT
				mountpoint, args = args[2], args[:2]
			} else if len(args) == 3 {
				mountpoint, args = args[0], args[1:]
			}
			ids, err := parseIDs("queue save", args[:1])
			if err != nil {
				return err
			}
			return withQueue(env, "queue save", mountpoint, f, func(ctx context.Context, q queue) error {
				return saveItem(ctx, env.stdout, q, ids[0], args[1])
			})
		},
	}
	f.register(cmd)
	return cmd
}

// saveItem never leaves half a file.
func saveItem(ctx context.Context, stdout io.Writer, q queue, id uint64, name string) error {
	if name == "-" {
		return q.save(ctx, id, stdout)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	err = q.save(ctx, id, f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		os.Remove(name)
	}
	return err
}

func newQueueDrop(env environment) *cobra.Command {
	var f queueFlags
	var yes bool
	cmd := &cobra.Command{
		Use:  "drop [MOUNTPOINT | --cachedir DIR] ID... [--yes]",
		Long: "Gives up changes for ever, after asking. What pCloud has shows again.\n",
		Args: atLeast(1),
		RunE: func(_ *cobra.Command, args []string) error {
			mountpoint, args := takeMountpoint(args, 1)
			ids, err := parseIDs("queue drop", args)
			if err != nil {
				return err
			}
			if !yes && !progress.IsTerminal(env.stdin) {
				return usagef("queue drop: nobody can be asked; add --yes")
			}
			return withQueue(env, "queue drop", mountpoint, f, func(ctx context.Context, q queue) error {
				return dropItems(ctx, env, q, ids, yes)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func dropItems(ctx context.Context, env environment, q queue, ids []uint64, yes bool) error {
	items, err := q.items(ctx, 0)
	if err != nil {
		return err
	}
	answers := bufio.NewReader(env.stdin)
	for _, id := range ids {
		i := slices.IndexFunc(items, func(it control.Item) bool { return it.ID == id })
		if i < 0 {
			return fmt.Errorf("%d: %w", id, cache.ErrNoItem)
		}
		if !yes && !confirm(answers, env.stderr, items[i]) {
			continue
		}
		if err := q.drop(ctx, id); err != nil {
			return fmt.Errorf("%d: %w", id, err)
		}
	}
	return nil
}

// confirm asks; only a clear yes is one.
func confirm(answers *bufio.Reader, w io.Writer, it control.Item) bool {
	what := it.Op
	if it.Op == "put" {
		what += ", " + progress.Bytes(it.Bytes)
	}
	fmt.Fprintf(w, "Give up %s (%s)? It will never reach pCloud. [y/N] ", place(it), what)
	line, _ := answers.ReadString('\n')
	line = strings.ToLower(strings.TrimSpace(line))
	return line == "y" || line == "yes"
}

// atLeast demands a number of arguments.
func atLeast(n int) cobra.PositionalArgs { return arguments(n, 1<<20) }
