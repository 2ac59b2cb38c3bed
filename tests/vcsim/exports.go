package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// exporter answers ExportVm, which the simulator lacks, for who calls the machine as a LabExporter: the lab's front does.
type exporter struct {
	self types.ManagedObjectReference
	vm   *simulator.VirtualMachine
}

func addExports(registry *simulator.Registry) {
	registry.Handler = func(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
		if method.This.Type != "LabExporter" {
			return nil, nil
		}
		ref := types.ManagedObjectReference{Type: "VirtualMachine", Value: method.This.Value}
		if vm, ok := ctx.Map.Get(ref).(*simulator.VirtualMachine); ok {
			return &exporter{method.This, vm}, nil
		}
		return nil, &types.ManagedObjectNotFound{Obj: ref}
	}
}

// Reference makes it an object.
func (e *exporter) Reference() types.ManagedObjectReference { return e.self }

// ExportVm gives the caller's session a lease; nothing can be fetched by it.
func (e *exporter) ExportVm(ctx *simulator.Context, _ *types.ExportVm) soap.HasFault {
	lease := &simulator.HttpNfcLease{HttpNfcLease: mo.HttpNfcLease{InitializeProgress: 100}}
	lease.Mode = string(types.HttpNfcLeaseModePushOrGet)
	lease.State = types.HttpNfcLeaseStateReady
	ref := ctx.Session.Put(lease).Reference()
	lease.Info = &types.HttpNfcLeaseInfo{Lease: ref, Entity: e.vm.Self, LeaseTimeout: 300}
	return &methods.ExportVmBody{Res: &types.ExportVmResponse{Returnval: ref}}
}
