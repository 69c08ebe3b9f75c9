//go:build tools

// Package tidb names what is built here, so that `go mod tidy` keeps the pins of go.mod and go.sum.
//
// The version in go.mod is the commit of the release v8.5.4, whose tag Go takes for no version of this module.
package tidb

import _ "github.com/pingcap/tidb/cmd/tidb-server"
