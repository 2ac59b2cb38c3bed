package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// front is what the simulator lacks of /api, and /control.
type front struct {
	mutex    sync.Mutex
	mux      *http.ServeMux
	registry *simulator.Registry

	counters *counters
	busy     int // calls that are answered with status before one is served
	status   int
	after    string
	states   map[string]string // of the appliance's services
	restarts map[string]int
	calls    []string
	tasks    int
}

func addRest(mux *http.ServeMux, registry *simulator.Registry, counters *counters) {
	f := &front{mux: mux, registry: registry, counters: counters, restarts: map[string]int{}}
	f.states = map[string]string{"vmware-vpxd": "STARTED", "vmware-envoy-hgw": "STARTED", "vmware-sps": "STARTED"}
	mux.HandleFunc("/api/session", f.served(f.session))
	mux.HandleFunc("/api/cis/tagging/", f.served(f.tagging))
	mux.HandleFunc("/api/appliance/services", f.served(f.services))
	mux.HandleFunc("/api/appliance/services/", f.served(f.services))
	mux.HandleFunc("/control/", f.control)
}

// served counts a call, and turns it away while the server is told to be busy.
func (f *front) served(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		f.calls = append(f.calls, r.Method+" "+r.URL.Path)
		if f.busy > 0 {
			f.busy--
			w.Header().Set("Retry-After", f.after)
			w.WriteHeader(f.status)
			return
		}
		handler(w, r)
	}
}

// old asks the simulator's own /rest, and returns what is in its envelope.
func (f *front) old(r *http.Request, method, path string, body string) (int, json.RawMessage) {
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header = r.Header.Clone()
	recorder := httptest.NewRecorder()
	f.mux.ServeHTTP(recorder, request)
	var envelope struct {
		Value json.RawMessage `json:"value"`
	}
	_ = json.Unmarshal(recorder.Body.Bytes(), &envelope)
	return recorder.Code, envelope.Value
}

func answer(w http.ResponseWriter, status int, value json.RawMessage) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(value)
}

func (f *front) session(w http.ResponseWriter, r *http.Request) {
	status, value := f.old(r, r.Method, "/rest/com/vmware/cis/session", "")
	if r.Method == http.MethodPost && status == http.StatusOK {
		status = http.StatusCreated
	}
	answer(w, status, value)
}

func (f *front) tagging(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/cis/tagging/"), "/")
	path := "/rest/com/vmware/cis/tagging/" + parts[0]
	if len(parts) > 1 {
		path += "/id:" + parts[1]
	}
	body := ""
	if action := r.URL.Query().Get("action"); action != "" {
		path += "?~action=" + action
		body = "{}"
	}
	status, value := f.old(r, r.Method, path, body)
	if len(value) == 0 || string(value) == "null" {
		value = json.RawMessage("[]") // the simulator's empty list
	}
	answer(w, status, value)
}

func (f *front) services(w http.ResponseWriter, r *http.Request) {
	if status, _ := f.old(r, http.MethodGet, "/rest/com/vmware/cis/session", ""); status != http.StatusOK {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/api/appliance/services"), "/")
	info := func(name string) map[string]string {
		return map[string]string{"description": name, "state": f.states[name]}
	}
	switch {
	case name == "":
		all := map[string]map[string]string{}
		for one := range f.states {
			all[one] = info(one)
		}
		value, _ := json.Marshal(all)
		answer(w, http.StatusOK, value)
	case f.states[name] == "":
		answer(w, http.StatusNotFound, json.RawMessage(`{"error_type": "NOT_FOUND", "messages": []}`))
	case r.Method == http.MethodPost && r.URL.Query().Get("action") == "restart":
		f.restarts[name]++
		w.WriteHeader(http.StatusNoContent)
	default:
		value, _ := json.Marshal(info(name))
		answer(w, http.StatusOK, value)
	}
}

func (f *front) host(name string) *simulator.HostSystem {
	for _, entity := range f.registry.All("HostSystem") {
		if host := entity.(*simulator.HostSystem); host.Name == name || host.Self.Value == name {
			return host
		}
	}
	return nil
}

// control changes what is shown. Everything comes in the query; the answer is JSON.
func (f *front) control(w http.ResponseWriter, r *http.Request) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	query := r.URL.Query()
	number := func(key string) (value int64) {
		_, _ = fmt.Sscan(query.Get(key), &value)
		return value
	}
	host := f.host(query.Get("host"))
	switch strings.TrimPrefix(r.URL.Path, "/control/") {
	case "busy":
		f.busy, f.status, f.after = int(number("count")), int(number("status")), query.Get("after")
	case "latency":
		f.counters.set(host.Self.Value, query.Get("datastore"), sample{
			number("read"), number("write"), time.Duration(number("age")) * time.Second,
		})
	case "lockdown":
		host.Config.LockdownMode = types.HostLockdownMode(query.Get("mode"))
	case "vvol":
		for _, entity := range f.registry.All("Datastore") {
			datastore := entity.(*simulator.Datastore)
			if datastore.Name == query.Get("datastore") {
				datastore.Summary.Type = "VVOL"
			}
		}
	case "task":
		answer(w, http.StatusOK, f.task(query))
		return
	case "placed":
		answer(w, http.StatusOK, f.placed())
		return
	case "seen":
		value, _ := json.Marshal(map[string]any{"calls": f.calls, "restarts": f.restarts})
		answer(w, http.StatusOK, value)
		return
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer(w, http.StatusOK, json.RawMessage("{}"))
}
