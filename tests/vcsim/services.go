package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// hostServices is what a host's services can be told: the simulator has none.
type hostServices struct {
	mo.HostServiceSystem
}

// addServices gives every host a service system of its own.
func addServices(registry *simulator.Registry) {
	for _, entity := range registry.All("HostSystem") {
		host := entity.(*simulator.HostSystem)
		system := &hostServices{}
		for _, key := range []string{"DCUI", "TSM", "TSM-SSH", "lbtd", "ntpd", "vmsyslogd", "vpxa"} {
			running := key != "TSM" && key != "TSM-SSH"
			system.ServiceInfo.Service = append(system.ServiceInfo.Service, types.HostService{
				Key: key, Label: key, Running: running, Policy: "off",
			})
		}
		system.Self = types.ManagedObjectReference{Type: "HostServiceSystem", Value: "serviceSystem-" + host.Self.Value}
		registry.Put(system)
		host.ConfigManager.ServiceSystem = &system.Self
	}
}

func (s *hostServices) set(id string, running bool) *soap.Fault {
	for i := range s.ServiceInfo.Service {
		if s.ServiceInfo.Service[i].Key == id {
			s.ServiceInfo.Service[i].Running = running
			return nil
		}
	}
	return simulator.Fault("The object or item referred to could not be found.", &types.NotFound{})
}

// StartService starts one.
func (s *hostServices) StartService(request *types.StartService) soap.HasFault {
	body := &methods.StartServiceBody{}
	if body.Fault_ = s.set(request.Id, true); body.Fault_ == nil {
		body.Res = &types.StartServiceResponse{}
	}
	return body
}

// StopService stops one.
func (s *hostServices) StopService(request *types.StopService) soap.HasFault {
	body := &methods.StopServiceBody{}
	if body.Fault_ = s.set(request.Id, false); body.Fault_ == nil {
		body.Res = &types.StopServiceResponse{}
	}
	return body
}

// RestartService leaves it running.
func (s *hostServices) RestartService(request *types.RestartService) soap.HasFault {
	body := &methods.RestartServiceBody{}
	if body.Fault_ = s.set(request.Id, true); body.Fault_ == nil {
		body.Res = &types.RestartServiceResponse{}
	}
	return body
}

// addStates fills in what the simulator leaves empty and pyVmomi does not read then: a machine's whole runtime.
func addStates(registry *simulator.Registry) {
	for _, entity := range registry.All("VirtualMachine") {
		vm := entity.(*simulator.VirtualMachine)
		for _, runtime := range []*types.VirtualMachineRuntimeInfo{&vm.Runtime, &vm.Summary.Runtime} {
			runtime.FaultToleranceState = types.VirtualMachineFaultToleranceStateNotConfigured
			runtime.RecordReplayState = types.VirtualMachineRecordReplayStateInactive
		}
	}
}
