// Package main is vcsim, govmomi's vCenter simulator, with what it lacks and fleets need.
//
// It adds to the simulator library: a HostServiceSystem for every host (TSM, TSM-SSH, vpxa, ...; no vvold, as on real
// hosts), the real-time counters of datastore latency, /api/session, /api/cis/tagging and /api/appliance/services, and
// /control, by which a test changes what is shown: latencies and the age of their samples, lockdown, running tasks and
// how many calls of /api are answered with 429 first. For the lab's front there are ExportVm, tasks that it starts and
// ends, and where machines are. Everything else is the simulator's own.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	_ "github.com/vmware/govmomi/lookup/simulator"
	policies "github.com/vmware/govmomi/pbm/simulator"
	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/sts/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
	"github.com/vmware/govmomi/vim25/types"
	_ "github.com/vmware/govmomi/vsan/simulator"
	_ "github.com/vmware/govmomi/vslm/simulator"
)

func main() {
	model := simulator.VPX()
	flag.IntVar(&model.Cluster, "cluster", 2, "clusters")
	flag.IntVar(&model.ClusterHost, "host", 3, "hosts of a cluster")
	flag.IntVar(&model.Host, "standalone-host", 1, "hosts outside of clusters")
	flag.IntVar(&model.Machine, "vm", 1, "virtual machines of a resource pool")
	flag.IntVar(&model.Datastore, "ds", 2, "datastores")
	flag.IntVar(&model.Folder, "folder", 0, "folders around the clusters")
	users := flag.String("username", "operator", "who may log in: names with commas between them, one password")
	certificate := flag.String("tlscert", "", "PEM file of the certificate; without one it speaks plain HTTP")
	key := flag.String("tlskey", "", "PEM file of its key")
	untilEOF := flag.Bool("until-eof", false, "end when stdin ends")
	flag.Parse()

	var secure *tls.Config
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			log.Fatal(err)
		}
		secure = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	defer model.Remove()
	registry := model.Service.Context.Map
	mux := http.NewServeMux()
	model.Service.ServeMux = mux
	model.Service.RegisterEndpoints = true
	names, password := strings.Split(*users, ","), os.Getenv("VCSIM_PASSWORD")
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(names[0], password)}
	model.Service.TLS = secure
	registry.SessionManager().ValidLogin = func(login *types.Login) bool {
		return slices.Contains(names, login.UserName) && login.Password == password
	}

	// pyVmomi's path and govmomi's; vCenter serves both.
	model.Service.RegisterSDK(policies.New(), "/pbm/sdk")
	addServices(registry)
	addStates(registry)
	addExports(registry)
	addRest(mux, registry, addCounters(registry))

	server := model.Service.NewServer()
	defer server.Close()
	fmt.Printf("{\"ready\": \"%s\"}\n", server.URL.Host)

	done := make(chan os.Signal, 1)
	signal.Notify(done, syscall.SIGINT, syscall.SIGTERM)
	if *untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			done <- syscall.SIGTERM
		}()
	}
	<-done
}
