package pcloudtest

import "html/template"

var consentPage = template.Must(template.New("consent").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>pCloud emulator: allow access?</title>
<style>body{font-family:sans-serif;max-width:34em;margin:4em auto;padding:0 1em}button{font-size:1.1em;margin-right:1em}</style>
</head>
<body>
<h1>Allow access?</h1>
<p>The application <b>{{.Client}}</b> asks for access to the emulated pCloud account of <b>{{.Email}}</b>.</p>
{{if .Redirect}}<p>You will be sent to <code>{{.Redirect}}</code>.</p>{{end}}
<form method="post" action="/oauth2/authorize">
<input type="hidden" name="request" value="{{.Request}}">
<p><label><input type="radio" name="access" value="app" checked> only to its folder, /Applications/{{.App}}</label><br>
<label><input type="radio" name="access" value="account"> to the whole account</label></p>
<p><button name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button></p>
</form>
</body>
</html>
`))

var codePage = template.Must(template.New("code").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>pCloud emulator</title></head>
<body>
{{if .Code}}<p>Give this code to the application:</p><p><code id="code">{{.Code}}</code></p>{{else}}<p>Access was denied.</p>{{end}}
</body>
</html>
`))
