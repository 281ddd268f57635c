package fault

import (
	"encoding/json"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRuleJSON(t *testing.T) {
	t.Parallel()
	const text = `{"method":"upload_write","do":"reset-within","count":2,"skip":1,"prob":0.5,"after":4096,"delay":"1.5s"}`
	var r Rule
	require.NoError(t, json.Unmarshal([]byte(text), &r))
	require.Equal(t, Rule{
		Method: "upload_write", Do: ResetWithin, Count: 2, Skip: 1, Prob: 0.5, After: 4096, Delay: 1500 * time.Millisecond,
	}, r)
	b, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, text, string(b))

	b, err = json.Marshal(Rule{Do: API, Code: 5000})
	require.NoError(t, err)
	require.JSONEq(t, `{"do":"api","code":5000}`, string(b))
}

func TestRuleJSONRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `{"do":"explode"}`, `{"do":"api"}`, `{"do":"stall","delay":5}`, `{"do":"stall","delay":"soon"}`,
		`{"do":"stall","colour":"red"}`, `"stall"`,
	} {
		r := Rule{Do: Stall}
		require.Error(t, json.Unmarshal([]byte(text), &r), text)
		require.Equal(t, Rule{Do: Stall}, r, text)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, r := range []Rule{
		{Do: API, Code: 5000}, {Do: HTTP}, {Do: HTTP, Code: 404, Method: Content}, {Do: Stall}, {Do: Stall, Delay: time.Hour},
		{Do: ResetBefore, Prob: 1}, {Do: ResetWithin, After: 9}, {Do: ResetAfter}, {Do: Truncate}, {Do: WrongDigest},
		{Do: ExpiredLink}, {Do: DelayVisibility, Delay: 1}, {Do: LoseSession}, {Do: ResetDiff, Method: "diff"}, {Do: ResetDiff},
	} {
		require.NoError(t, r.Validate(), "%+v", r)
	}
	for _, r := range []Rule{
		{}, {Do: "API", Code: 1}, {Do: API}, {Do: API, Code: -1}, {Do: API, Code: 70000}, {Do: API, Code: 5000, Method: Content},
		{Do: HTTP, Code: 200}, {Do: HTTP, Code: 600}, {Do: Stall, Method: "/stat"}, {Do: Stall, Method: "Stat"},
		{Do: Stall, Count: -1}, {Do: Stall, Skip: -1}, {Do: Stall, After: -1}, {Do: Stall, Delay: -1},
		{Do: Stall, Prob: 1.5}, {Do: Stall, Prob: -0.5}, {Do: Stall, Prob: math.NaN()},
		{Do: DelayVisibility}, {Do: ResetDiff, Method: "stat"},
	} {
		require.Error(t, r.Validate(), "%+v", r)
	}
}

func set(t *testing.T, rules ...Rule) *Engine {
	t.Helper()
	e := NewEngine(1)
	require.NoError(t, e.Set(rules))
	return e
}

// pattern is which of n requests of a method are hit by anything.
func pattern(e *Engine, method string, n int) string {
	var s []byte
	for range n {
		if len(e.Match(method)) > 0 {
			s = append(s, 'x')
		} else {
			s = append(s, '.')
		}
	}
	return string(s)
}

func TestMatchCounts(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]Rule{
		"xxxxxx": {Do: ResetBefore},
		"xx....": {Do: ResetBefore, Count: 2},
		"..xxxx": {Do: ResetBefore, Skip: 2},
		".xxx..": {Do: ResetBefore, Skip: 1, Count: 3, Prob: 1},
	} {
		require.Equal(t, want, pattern(set(t, r), "stat", 6))
		r.Method = "diff"
		e := set(t, r)
		require.Equal(t, "......", pattern(e, "stat", 6), "another method neither fires nor counts")
		require.Equal(t, want, pattern(e, "diff", 6))
	}
}

func TestMatchChance(t *testing.T) {
	t.Parallel()
	r := Rule{Do: ResetBefore, Prob: 0.25}
	first := pattern(set(t, r), "stat", 1000)
	require.Equal(t, first, pattern(set(t, r), "stat", 1000), "the same seed gives the same faults")
	other := NewEngine(2)
	require.NoError(t, other.Set([]Rule{r}))
	require.NotEqual(t, first, pattern(other, "stat", 1000))
	require.InDelta(t, 250, other.Fired()[0], 50)

	r.Count = 3
	e := set(t, r)
	pattern(e, "stat", 1000)
	require.Equal(t, []int{3}, e.Fired(), "the count is of faults, not of chances")
}

func TestMatchEndsWithWhatDecides(t *testing.T) {
	t.Parallel()
	delay := Rule{Do: Stall, Delay: time.Second}
	digest := Rule{Do: WrongDigest, Count: 1}
	api := Rule{Do: API, Code: 5000, Count: 1}
	reset := Rule{Do: ResetAfter, Count: 1}
	e := set(t, delay, digest, api, reset)
	require.Equal(t, []Rule{delay, digest, api}, e.Match("stat"))
	require.Equal(t, []int{1, 1, 1, 0}, e.Fired(), "what comes after is not used up")
	require.Equal(t, []Rule{delay, reset}, e.Match("stat"))
	require.Equal(t, []Rule{delay}, e.Match("stat"))

	forever := Rule{Do: Stall}
	require.Equal(t, []Rule{forever}, set(t, forever, reset).Match("stat"))
}

func TestMatchOnlyWhereItApplies(t *testing.T) {
	t.Parallel()
	e := set(t, Rule{Do: API, Code: 5000, Count: 1}, Rule{Do: ResetDiff, Count: 1})
	require.Empty(t, e.Match(Content))
	require.Len(t, e.Match("stat"), 1)
	require.Empty(t, e.Match("stat"))
	require.Equal(t, ResetDiff, e.Match("diff")[0].Do)
}

func TestSetReplacesOrRefusesTheWholeList(t *testing.T) {
	t.Parallel()
	e := set(t, Rule{Do: HTTP, Count: 1})
	require.Equal(t, 502, e.Match("stat")[0].Code)
	require.ErrorContains(t, e.Set([]Rule{{Do: ResetBefore}, {Do: "?"}}), "rule 2")
	require.Empty(t, e.Match("stat"), "the old list is still there, used up")
	require.NoError(t, e.Set([]Rule{{Do: HTTP, Count: 1}}))
	require.Len(t, e.Match("stat"), 1)
	require.NoError(t, e.Set(nil))
	require.Empty(t, e.Match("stat"))
}

func TestConcurrentMatchesShareACount(t *testing.T) {
	t.Parallel()
	e := set(t, Rule{Do: ResetBefore, Skip: 10, Count: 50})
	var wg sync.WaitGroup
	hits := make([]int, 8)
	for i := range hits {
		wg.Go(func() {
			for range 100 {
				hits[i] += len(e.Match("stat"))
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range hits {
		total += n
	}
	require.Equal(t, 50, total)
}
