# Calls the emulator at each URL with net/http, and prints a JSON list with what was answered there.
require "json"
require "net/http"
require "uri"

KEY = ENV.fetch("XAI_API_KEY")
MANAGEMENT_KEY = ENV.fetch("XAI_MANAGEMENT_KEY")

# Ruby takes the authority to trust from SSL_CERT_FILE.
def call(http, request, key)
  request["Authorization"] = "Bearer #{key}"
  http.request(request)
end

def post(http, path, body, key)
  request = Net::HTTP::Post.new(path, "Content-Type" => "application/json")
  request.body = JSON.generate(body)
  JSON.parse(call(http, request, key).body)
end

def answers(url)
  uri = URI(url)
  Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == "https") do |http|
    upload = Net::HTTP::Post.new("/v1/files")
    text = { filename: "solar.txt", content_type: "text/plain" }
    form = [["expires_after", "3600"], ["file", "Solar panels turn light into power.", text]]
    upload.set_form(form, "multipart/form-data")
    file = JSON.parse(call(http, upload, KEY).body)

    listed = JSON.parse(call(http, Net::HTTP::Get.new("/v1/files"), KEY).body)
    content = call(http, Net::HTTP::Get.new("/v1/files/#{file["id"]}/content"), KEY).body
    collection = post(http, "/v1/collections", { collection_name: "papers" }, MANAGEMENT_KEY)["collection_id"]
    post(http, "/v1/collections/#{collection}/documents/#{file["id"]}", {}, MANAGEMENT_KEY)
    question = { query: "solar power", source: { collection_ids: [collection] } }
    found = post(http, "/v1/documents/search", question, KEY)
    missing = call(http, Net::HTTP::Get.new("/v1/files/file_missing"), KEY)
    { file: file, listed: listed, content: content, found: found, missing: missing.code.to_i }
  end
end

puts JSON.generate(ARGV.map { |url| answers(url) })
