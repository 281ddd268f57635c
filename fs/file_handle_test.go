package fs

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWithGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.Background())
		late, done := withGrace(parent, 5*time.Second)
		defer done()
		start := time.Now()
		cancel()
		synctest.Wait()
		require.NoError(t, late.Err())
		<-late.Done()
		require.Equal(t, 5*time.Second, time.Since(start))
	})
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.Background())
		late, done := withGrace(parent, 5*time.Second)
		cancel()
		done()
		require.Error(t, late.Err())
		// The bubble ends only when no goroutine is left.
	})
}
