// Package source reads the SOURCE argument of a mount,
//
//	pcloud://<host>/<folder>/<subfolder>?authid=<token>
//
// as Duplicati reads its destination field, so that a URL that works there
// names the same folder here. It also holds the type of the access token,
// which cannot be printed by accident.
//
// The rules:
//
//   - The scheme and the host are required and may be in any case; the host is
//     api.pcloud.com (United States) or eapi.pcloud.com (Europe). A port is
//     allowed and ignored. User names and passwords are refused.
//   - The path is percent-decoded once; an escape that is not one ("100%")
//     stays as it is. "+" is a plus. "/" and "\", written or escaped, separate.
//     Empty components vanish, "." and ".." are resolved and never lead above
//     the top; then surrounding white space goes. An empty path is the top: the
//     application folder itself.
//   - "#" is refused anywhere: it would cut the URL in Duplicati. A folder
//     whose name contains one is written with %23.
//   - In the query, authid (in any case) is the access token, percent-decoded.
//     Whatever else stands there is an option of Duplicati's, which accepts all
//     of its options in this place; it means nothing to a mount and is ignored.
//     Source.Ignored says that something was.
//
// No error of this package quotes the query or anything that may be a token.
package source
