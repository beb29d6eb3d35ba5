//go:build programs

// Package programs names what the benchmark builds, so that go.mod and go.sum pin it with all it needs.
package programs

import (
	_ "github.com/fatedier/frp/cmd/frpc"
	_ "github.com/fatedier/frp/cmd/frps"
	_ "github.com/jpillora/chisel"
)
