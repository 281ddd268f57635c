package shape

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseRate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"":          0,
		"0":         0,
		"unlimited": 0,
		"500000":    500000,
		"12.5M":     12500000,
		"12.5 MB/s": 12500000,
		"100mbit":   12500000,
		"100 Mbit":  12500000,
		"1gbit/s":   125000000,
		"64kbit":    8000,
		"8bit":      1,
		"1bit":      1,
		"2k":        2000,
		"2Ki":       2048,
		"1MiB":      1 << 20,
		"1e3":       1000,
		"7b":        7,
	} {
		got, err := ParseRate(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"-1", "fast", "1 2", "NaN", "inf", "1e30", "12Q", "mbit", "0x10M/s/s"} {
		_, err := ParseRate(in)
		require.ErrorContains(t, err, in)
	}
}

func TestConditionsJSON(t *testing.T) {
	t.Parallel()
	var c Conditions
	require.NoError(t, json.Unmarshal([]byte(`{"rtt":"50ms","up":"100mbit","down":2000,"conn_up":"12.5M"}`), &c))
	require.Equal(t, Conditions{RTT: 50 * time.Millisecond, Up: 12500000, Down: 2000, ConnUp: 12500000}, c)

	b, err := json.Marshal(c)
	require.NoError(t, err)
	require.JSONEq(t, `{"rtt":"50ms","up":12500000,"down":2000,"conn_up":12500000,"conn_down":0}`, string(b))

	require.NoError(t, json.Unmarshal([]byte(`{"up":0}`), &c), "absent fields stay")
	require.Equal(t, Conditions{RTT: 50 * time.Millisecond, Down: 2000, ConnUp: 12500000}, c)
}

func TestConditionsJSONRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{"rtt":"-5ms"}`, `{"rtt":"1h"}`, `{"rtt":50}`, `{"up":-1}`, `{"up":"much"}`, `{"speed":1}`, `{"up":{}}`, `[]`,
	} {
		c := Conditions{Up: 7}
		require.Error(t, json.Unmarshal([]byte(in), &c), in)
		require.Equal(t, Conditions{Up: 7}, c, in)
	}
}

func TestQuantumFollowsTheSlowestRate(t *testing.T) {
	t.Parallel()
	require.Equal(t, 64<<10, quantum(0, 0))
	require.Equal(t, 5000, quantum(0, 2500000))
	require.Equal(t, 5000, quantum(2500000, 1<<40))
	require.Equal(t, 512, quantum(10))
}
