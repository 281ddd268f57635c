package progress

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pcloudfs/pcloudfs/cache"
)

const mib = 1 << 20

func at(seconds float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(seconds * 1e9)) }

func TestMeter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		states []cache.Status // a second apart
		want   string
	}{
		{"nothing known yet", []cache.Status{{Pending: 2, Active: 1, Bytes: 30 * mib}}, "3 changes, 30 MiB left"},
		{"moving", []cache.Status{{Active: 1, Bytes: 30 * mib}, {Active: 1, Bytes: 30 * mib, Sent: 10 * mib}},
			"1 change, 20 MiB left, 10 MiB/s, 2s to go"},
		{"one done, the next begins", []cache.Status{{Active: 2, Bytes: 30 * mib, Sent: 10 * mib}, {Active: 1, Bytes: 20 * mib, Done: 10 * mib, Sent: 5 * mib}},
			"1 change, 15 MiB left, 5.0 MiB/s, 3s to go"},
		{"nothing but names", []cache.Status{{Pending: 4}, {Pending: 3}}, "3 changes"},
		{"begins anew", []cache.Status{{Active: 1, Bytes: 2 * mib, Sent: mib}, {Active: 1, Bytes: 2 * mib}}, "1 change, 2.0 MiB left"},
		{"stands still", []cache.Status{{Pending: 1, Bytes: mib, LastError: "no route"}}, "1 change, 1.0 MiB left (no route)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var m Meter
			for i, s := range tt.states {
				m.Add(at(float64(i)), s)
			}
			require.Equal(t, tt.want, m.String())
		})
	}
}

func TestRateFollowsTheLastSeconds(t *testing.T) {
	t.Parallel()
	var m Meter
	for i := range 100 {
		speed := int64(mib)
		if i >= 50 {
			speed = 4 * mib
		}
		m.Add(at(float64(i)), cache.Status{Done: speed * int64(i)})
	}
	require.InDelta(t, 4*mib, m.Rate(), mib/10)
	require.Less(t, len(m.samples), 20, "old samples go")
}

func TestLinesWhereThereIsNoTerminal(t *testing.T) {
	t.Parallel()
	var w bytes.Buffer
	d := New(&w)
	d.Update(at(0), cache.Status{Pending: 1, Bytes: 20 * mib})
	d.Update(at(1), cache.Status{Pending: 1, Bytes: 20 * mib, Sent: mib})
	require.Empty(t, w.String(), "most are done before anybody asks")
	for i := 2; i < 12; i++ {
		d.Update(at(float64(i)), cache.Status{Pending: 1, Bytes: 20 * mib, Sent: int64(i) * mib})
	}
	d.Finish()
	require.Equal(t, "1 change, 18 MiB left, 1.0 MiB/s, 18s to go\n1 change, 13 MiB left, 1.0 MiB/s, 13s to go\n", w.String())
}

func TestOnlyFilesAreTerminals(t *testing.T) {
	t.Parallel()
	require.False(t, IsTerminal(new(bytes.Buffer)))
	require.False(t, IsTerminal(nil))
}
