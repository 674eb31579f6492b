// Lists the services of the emulator at a target by reflection and calls one with a generated stub, in plain text and
// over TLS, and prints a JSON list with what was answered. A target that begins with https:// is called over TLS.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"

	"xai_api" // generated from files.proto
)

type object = map[string]interface{}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func connected(target string) *grpc.ClientConn {
	security := grpc.WithInsecure()
	if strings.HasPrefix(target, "https://") {
		target = strings.TrimPrefix(target, "https://")
		authority, err := credentials.NewClientTLSFromFile(os.Getenv("SSL_CERT_FILE"), "")
		must(err)
		security = grpc.WithTransportCredentials(authority)
	}
	connection, err := grpc.Dial(target, security)
	must(err)
	return connection
}

func services(connection *grpc.ClientConn) []string {
	stream, err := reflection.NewServerReflectionClient(connection).ServerReflectionInfo(context.Background())
	must(err)
	question := &reflection.ServerReflectionRequest_ListServices{}
	must(stream.Send(&reflection.ServerReflectionRequest{MessageRequest: question}))
	answer, err := stream.Recv()
	must(err)
	must(stream.CloseSend())
	var names []string
	for _, service := range answer.GetListServicesResponse().Service {
		names = append(names, service.Name)
	}
	return names
}

func answers(target string) object {
	connection := connected(target)
	defer connection.Close()
	files := xai_api.NewFilesClient(connection)
	withKey := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+os.Getenv("XAI_API_KEY"))

	upload, err := files.UploadFile(withKey)
	must(err)
	init := &xai_api.UploadFileInit{Name: "solar.txt"}
	must(upload.Send(&xai_api.UploadFileChunk{Chunk: &xai_api.UploadFileChunk_Init{Init: init}}))
	text := []byte("Solar panels turn light into power.")
	must(upload.Send(&xai_api.UploadFileChunk{Chunk: &xai_api.UploadFileChunk_Data{Data: text}}))
	file, err := upload.CloseAndRecv()
	must(err)

	list, err := files.ListFiles(withKey, &xai_api.ListFilesRequest{})
	must(err)
	var listed []string
	for _, each := range list.Data {
		listed = append(listed, each.Id)
	}
	_, missing := files.RetrieveFile(withKey, &xai_api.RetrieveFileRequest{FileId: "file_missing"})
	return object{
		"id": file.Id, "size": file.Size, "listed": listed, "content": content(files, withKey, file.Id),
		"missing": status.Code(missing), "services": services(connection),
	}
}

func content(files xai_api.FilesClient, withKey context.Context, id string) string {
	chunks, err := files.RetrieveFileContent(withKey, &xai_api.RetrieveFileContentRequest{FileId: id})
	must(err)
	var content []byte
	for {
		chunk, err := chunks.Recv()
		if err == io.EOF {
			return string(content)
		}
		must(err)
		content = append(content, chunk.Data...)
	}
}

func main() {
	var all []object
	for _, target := range os.Args[1:] {
		all = append(all, answers(target))
	}
	printed, err := json.Marshal(all)
	must(err)
	fmt.Println(string(printed))
}
