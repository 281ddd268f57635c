package config

import "strings"

// nearest returns the candidate that name was most likely meant to be, or "".
func nearest(name string, candidates []string) string {
	name = strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))
	best, bestDist := "", 3
	for _, c := range candidates {
		plain := strings.ReplaceAll(c, "_", "")
		// Two letters of difference turn any short word into any other.
		if d := distance(name, plain); d < bestDist && d <= len(plain)/2 {
			best, bestDist = c, d
		}
	}
	return best
}

// distance is the least number of bytes to insert, remove or replace that makes
// b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
