// Calls the emulator at each URL with net/http, and prints a JSON list with what was answered there.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
)

type object = map[string]any

var key, managementKey = os.Getenv("XAI_API_KEY"), os.Getenv("XAI_MANAGEMENT_KEY")

// Go takes the authority to trust from SSL_CERT_FILE.
func call(method, url, key, contentType string, body []byte) (int, []byte) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	must(err)
	request.Header.Set("Authorization", "Bearer "+key)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := http.DefaultClient.Do(request)
	must(err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	must(err)
	return response.StatusCode, content
}

func get(url string) (int, []byte) {
	return call("GET", url, key, "", nil)
}

func post(url string, body object, key string) object {
	encoded, err := json.Marshal(body)
	must(err)
	_, content := call("POST", url, key, "application/json", encoded)
	return decoded(content)
}

func decoded(content []byte) object {
	var value object
	must(json.Unmarshal(content, &value))
	return value
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func upload(url string) object {
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	must(writer.WriteField("expires_after", "3600")) // before the file
	part, err := writer.CreateFormFile("file", "solar.txt")
	must(err)
	_, err = part.Write([]byte("Solar panels turn light into power."))
	must(err)
	must(writer.Close())
	_, content := call("POST", url+"/v1/files", key, writer.FormDataContentType(), form.Bytes())
	return decoded(content)
}

func answers(url string) object {
	file := upload(url)
	id := file["id"].(string)
	_, listed := get(url + "/v1/files")
	_, content := get(url + "/v1/files/" + id + "/content")
	collection := post(url+"/v1/collections", object{"collection_name": "papers"}, managementKey)["collection_id"].(string)
	post(url+"/v1/collections/"+collection+"/documents/"+id, object{}, managementKey)
	source := object{"collection_ids": []string{collection}}
	found := post(url+"/v1/documents/search", object{"query": "solar power", "source": source}, key)
	missing, _ := get(url + "/v1/files/file_missing")
	return object{"file": file, "listed": decoded(listed), "content": string(content), "found": found, "missing": missing}
}

func main() {
	var all []object
	for _, url := range os.Args[1:] {
		all = append(all, answers(url))
	}
	printed, err := json.Marshal(all)
	must(err)
	fmt.Println(string(printed))
}
