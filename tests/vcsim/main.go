// Package main is vcsim, govmomi's vCenter simulator, with what it lacks and fleets need.
//
// It adds to the simulator library: a HostServiceSystem for every host (TSM, TSM-SSH, vpxa, ...; no vvold, as on real
// hosts), the real-time counters of datastore latency, /api/session, /api/cis/tagging and /api/appliance/services, and
// /control, by which a test changes what is shown: latencies and the age of their samples, lockdown, running tasks and
// how many calls of /api are answered with 429 first. Everything else is the simulator's own.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
)

func main() {
	model := simulator.VPX()
	flag.IntVar(&model.Cluster, "cluster", 2, "clusters")
	flag.IntVar(&model.ClusterHost, "host", 3, "hosts of a cluster")
	flag.IntVar(&model.Host, "standalone-host", 1, "hosts outside of clusters")
	flag.IntVar(&model.Machine, "vm", 1, "virtual machines of a resource pool")
	flag.IntVar(&model.Datastore, "ds", 2, "datastores")
	flag.IntVar(&model.Folder, "folder", 0, "folders around the clusters")
	user := flag.String("username", "operator", "who may log in")
	certificate := flag.String("tlscert", "", "PEM file of the certificate")
	key := flag.String("tlskey", "", "PEM file of its key")
	flag.Parse()

	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	defer model.Remove()
	registry := model.Service.Context.Map
	mux := http.NewServeMux()
	model.Service.ServeMux = mux
	model.Service.RegisterEndpoints = true
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(*user, os.Getenv("VCSIM_PASSWORD"))}
	model.Service.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}

	addServices(registry)
	addRest(mux, registry, addCounters(registry))

	server := model.Service.NewServer()
	defer server.Close()
	fmt.Printf("{\"ready\": \"%s\"}\n", server.URL.Host)

	done := make(chan os.Signal, 1)
	signal.Notify(done, syscall.SIGINT, syscall.SIGTERM)
	<-done
}
