package main

import (
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// sample is the latency of one datastore as one host sees it.
type sample struct {
	read, write int64
	age         time.Duration
}

// counters answers for the latency of datastores; the simulator knows the counters but has no such values.
type counters struct {
	*simulator.PerformanceManager
	mutex   sync.Mutex
	names   map[int32]string
	samples map[string]map[string]sample // host -> datastore's id -> sample
}

func addCounters(registry *simulator.Registry) *counters {
	ref := types.ManagedObjectReference{Type: "PerformanceManager", Value: "PerfMgr"}
	own := registry.Get(ref).(*simulator.PerformanceManager)
	wrapped := &counters{PerformanceManager: own, names: map[int32]string{}, samples: map[string]map[string]sample{}}
	for _, one := range own.PerfCounter {
		group, name := one.GroupInfo.GetElementDescription().Key, one.NameInfo.GetElementDescription().Key
		wrapped.names[one.Key] = group + "." + name
	}
	registry.Put(wrapped)
	return wrapped
}

func (c *counters) set(host, datastore string, value sample) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.samples[host] == nil {
		c.samples[host] = map[string]sample{}
	}
	c.samples[host][datastore] = value
}

// QueryPerf gives the newest sample of a host's datastores.
func (c *counters) QueryPerf(ctx *simulator.Context, request *types.QueryPerf) soap.HasFault {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	body := &methods.QueryPerfBody{Res: &types.QueryPerfResponse{}}
	for _, spec := range request.QuerySpec {
		known := c.samples[spec.Entity.Value]
		if len(known) == 0 {
			continue // as a host that has been asked for too early: no entry at all
		}
		metric := &types.PerfEntityMetric{PerfEntityMetricBase: types.PerfEntityMetricBase{Entity: spec.Entity}}
		for datastore, one := range known {
			if metric.SampleInfo == nil {
				at := time.Now().Add(-one.age)
				metric.SampleInfo = []types.PerfSampleInfo{{Timestamp: at, Interval: 20}}
			}
			for _, id := range spec.MetricId {
				value, wanted := one.read, c.names[id.CounterId] == "datastore.totalReadLatency"
				if c.names[id.CounterId] == "datastore.totalWriteLatency" {
					value, wanted = one.write, true
				}
				if wanted && id.Instance == "*" {
					series := &types.PerfMetricIntSeries{Value: []int64{value}}
					series.Id = types.PerfMetricId{CounterId: id.CounterId, Instance: datastore}
					metric.Value = append(metric.Value, series)
				}
			}
		}
		body.Res.Returnval = append(body.Res.Returnval, metric)
	}
	return body
}
