package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const provisionerName = "vaka.dev/folder"

// folders makes each claim a folder on the node. The volumes are of type "local" and not "hostPath",
// because kubelet applies fsGroup only to the former: without it a non-root pod could not write.
type folders struct{ root, node string }

func (f folders) Provision(_ context.Context, o controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	if o.PVC.Spec.Selector != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("claim.spec.selector is not supported")
	}
	path := filepath.Join(f.root, o.PVC.Namespace+"_"+o.PVC.Name+"_"+string(o.PVC.UID))
	if err := os.MkdirAll(path, 0o770); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: o.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: o.PVC.Spec.Resources.Requests[core.ResourceStorage]},
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity:                  onlyOn(f.node),
		},
	}, controller.ProvisioningFinished, nil
}

func (f folders) Delete(_ context.Context, pv *core.PersistentVolume) error {
	if filepath.Dir(pv.Spec.Local.Path) != filepath.Clean(f.root) {
		return fmt.Errorf("%s is not a folder of %s", pv.Spec.Local.Path, f.root)
	}
	return os.RemoveAll(pv.Spec.Local.Path)
}

func onlyOn(node string) *core.VolumeNodeAffinity {
	return &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
		MatchExpressions: []core.NodeSelectorRequirement{{
			Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{node},
		}},
	}}}}
}

func provision() int {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig `file`")
	root := flag.String("root", "", "`folder` that holds a folder for each volume")
	node := flag.String("node", "", "`name` of the node that the folder is on")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err == nil && (*root == "" || *node == "") {
		err = fmt.Errorf("-root and -node are required")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "provisioner:", err)
		return 1
	}
	ctx := klog.NewContext(context.Background(), klog.Background())
	controller.NewProvisionController(ctx, kubernetes.NewForConfigOrDie(config), provisionerName,
		folders{*root, *node}, controller.LeaderElection(false)).Run(ctx)
	return 0
}
