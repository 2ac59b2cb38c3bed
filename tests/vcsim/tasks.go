package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// The simulator's own task may take so long until its outcome is taken over.
const outcomeWithin = 10 * time.Second

// task makes a task that goes on until it is told to change (without an id), or changes one. The query:
// name, user, host (a HostSystem's name or id) or entity (Type:id), state; and for a change id, state, and of (a task of
// the simulator whose outcome it takes), or fault with text, object (Type:id) and privilege; the answer has its result.
func (f *front) task(query url.Values) json.RawMessage {
	if id := query.Get("id"); id != "" {
		return f.change(types.ManagedObjectReference{Type: "Task", Value: id}, query)
	}
	f.tasks++
	task := &simulator.Task{}
	task.Self = types.ManagedObjectReference{Type: "Task", Value: fmt.Sprintf("task-held-%d", f.tasks)}
	entity := reference(query.Get("entity"))
	name := entity.Value
	if host := f.host(query.Get("host")); host != nil {
		entity, name = host.Self, host.Name
	} else if found, ok := f.registry.Get(entity).(mo.Entity); ok {
		name = found.Entity().Name
	}
	now := time.Now()
	task.Info = types.TaskInfo{
		Key: task.Self.Value, Task: task.Self, DescriptionId: query.Get("name"), Entity: &entity,
		EntityName: name, State: types.TaskInfoStateRunning, QueueTime: now, StartTime: &now,
		Reason: &types.TaskReasonUser{UserName: query.Get("user")},
	}
	if state := query.Get("state"); state != "" {
		task.Info.State, task.Info.StartTime = types.TaskInfoState(state), nil
	}
	f.registry.Put(task)
	value, _ := json.Marshal(map[string]string{"task": task.Self.Value})
	return value
}

func (f *front) change(ref types.ManagedObjectReference, query url.Values) json.RawMessage {
	task, ok := f.registry.Get(ref).(*simulator.Task)
	if !ok {
		return json.RawMessage("{}")
	}
	now := time.Now()
	state := types.TaskInfoState(query.Get("state"))
	changes := []types.PropertyChange{{Name: "info.state", Val: state}}
	switch state {
	case types.TaskInfoStateRunning:
		changes = append(changes, types.PropertyChange{Name: "info.startTime", Val: now})
	default:
		changes = append(changes, types.PropertyChange{Name: "info.completeTime", Val: now})
	}
	if kind := query.Get("fault"); kind != "" {
		fault := types.LocalizedMethodFault{Fault: faultOf(kind, query), LocalizedMessage: query.Get("text")}
		changes = append(changes, types.PropertyChange{Name: "info.error", Val: fault})
	}
	if of := query.Get("of"); of != "" {
		changes = append(changes, f.outcome(of)...)
	}
	f.registry.AtomicUpdate(f.fresh(), task, changes)
	made, _ := task.Info.Result.(types.ManagedObjectReference)
	value, _ := json.Marshal(map[string]string{"result": made.Value})
	return value
}

// outcome waits for a task of the simulator and says how it ended.
func (f *front) outcome(id string) []types.PropertyChange {
	task, ok := f.registry.Get(types.ManagedObjectReference{Type: "Task", Value: id}).(*simulator.Task)
	if !ok {
		return nil
	}
	var info types.TaskInfo
	for deadline := time.Now().Add(outcomeWithin); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		f.registry.WithLock(f.fresh(), task, func() { info = task.Info })
		if info.CompleteTime != nil {
			break
		}
	}
	changes := []types.PropertyChange{{Name: "info.state", Val: info.State}, {Name: "info.result", Val: info.Result}}
	if info.Error != nil {
		changes = append(changes, types.PropertyChange{Name: "info.error", Val: *info.Error})
	}
	return changes
}

func faultOf(kind string, query url.Values) types.BaseMethodFault {
	if kind == "NotAuthenticated" {
		object := reference(query.Get("object"))
		return &types.NotAuthenticated{
			NoPermission: types.NoPermission{Object: &object, PrivilegeId: query.Get("privilege")},
		}
	}
	if made, ok := types.TypeFunc()(kind); ok {
		if fault, ok := reflect.New(made).Interface().(types.BaseMethodFault); ok {
			return fault
		}
	}
	return &types.SystemError{Reason: query.Get("text")}
}

func reference(text string) types.ManagedObjectReference {
	kind, value, _ := strings.Cut(text, ":")
	return types.ManagedObjectReference{Type: kind, Value: value}
}

// placed says on which host a machine is, and a snapshot's machine.
func (f *front) placed() json.RawMessage {
	places := map[string]string{}
	for _, entity := range f.registry.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		f.registry.WithLock(f.fresh(), vm, func() {
			if vm.Runtime.Host != nil {
				places[vm.Self.Value] = vm.Runtime.Host.Value
			}
			if vm.Snapshot != nil {
				placeSnapshots(places, vm.Self.Value, vm.Snapshot.RootSnapshotList)
			}
		})
	}
	value, _ := json.Marshal(places)
	return value
}

func placeSnapshots(places map[string]string, vm string, tree []types.VirtualMachineSnapshotTree) {
	for _, one := range tree {
		places[one.Snapshot.Value] = vm
		placeSnapshots(places, vm, one.ChildSnapshotList)
	}
}

// fresh is who takes locks: one context would be let in again while it holds them.
func (f *front) fresh() *simulator.Context {
	return &simulator.Context{Context: context.Background(), Map: f.registry}
}
