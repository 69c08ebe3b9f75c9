//go:build tools

// Package kubernetes names what is built here, so that `go mod tidy` keeps the pins of go.mod and go.sum.
//
// k8s.io/kubernetes can be a dependency only with one `replace` per staging module, each at the same release.
// CoreDNS is the newest release that is content with the k8s.io libraries of that Kubernetes: what both use is compiled
// once.
package kubernetes

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubectl"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
