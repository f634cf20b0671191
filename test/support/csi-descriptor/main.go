// csi-descriptor prints the descriptors of the Go modules that speak CSI and the kubelet's plugin registration, as one JSON object
// from file name to google.protobuf.FileDescriptorProto. test/conformance/csi-descriptor.test.ts compares proto/ with it.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

func main() {
	files := map[string]protoreflect.FileDescriptor{
		"csi.proto": csi.File_csi_proto,
		// The variable with this file's descriptor is named for a path in Kubernetes' own tree; a message leads there as well.
		"pluginregistration.proto": (&registration.PluginInfo{}).ProtoReflect().Descriptor().ParentFile(),
	}
	printed := map[string]json.RawMessage{}
	for name, file := range files {
		text, err := protojson.Marshal(protodesc.ToFileDescriptorProto(file))
		if err != nil {
			log.Fatal(err)
		}
		printed[name] = text
	}
	if err := json.NewEncoder(os.Stdout).Encode(printed); err != nil {
		log.Fatal(err)
	}
}
