import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Calls the emulator at each URL with the HTTP client of the JDK, and prints a JSON list with what was answered there.
 *
 * <p>By default that client offers HTTP/2: h2c with the first request of a connection, and by ALPN over TLS.
 */
public class Client {
    private static final String KEY = System.getenv("XAI_API_KEY");
    private static final String MANAGEMENT_KEY = System.getenv("XAI_MANAGEMENT_KEY");
    private static final String FORM = "--b\r\nContent-Disposition: form-data; name=\"expires_after\"\r\n\r\n3600\r\n"
            + "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"solar.txt\"\r\n\r\n"
            + "Solar panels turn light into power.\r\n--b--\r\n";

    private final HttpClient client;
    private final String url;

    Client(HttpClient client, String url) {
        this.client = client;
        this.url = url;
    }

    public static void main(String[] urls) throws Exception {
        HttpClient client = HttpClient.newBuilder().sslContext(trusting(Path.of(System.getenv("SSL_CERT_FILE")))).build();
        List<String> answers = new ArrayList<>();
        for (String url : urls) answers.add(new Client(client, url).answers());
        System.out.println(answers);
    }

    /** TLS that trusts the certificates of a PEM file alone. */
    private static SSLContext trusting(Path authority) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream pem = Files.newInputStream(authority)) {
            store.setCertificateEntry("xai-emulator", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    private String answers() throws Exception {
        HttpResponse<String> uploaded = upload(BodyPublishers.ofString(FORM)); // with a Content-Length
        String file = member(uploaded.body(), "id");
        String listed = get("/v1/files").body();
        String content = get("/v1/files/" + file + "/content").body();
        String collection = member(post("/v1/collections", "{\"collection_name\": \"papers\"}", MANAGEMENT_KEY), "collection_id");
        post("/v1/collections/" + collection + "/documents/" + file, "{}", MANAGEMENT_KEY);
        String question = "{\"query\": \"solar power\", \"source\": {\"collection_ids\": [\"" + collection + "\"]}}";
        String found = post("/v1/documents/search", question, KEY);
        int missing = get("/v1/files/file_missing").statusCode();
        HttpResponse<String> chunked = upload(BodyPublishers.fromPublisher(BodyPublishers.ofString(FORM)));
        return String.format(
                "{\"file\": %s, \"listed\": %s, \"content\": \"%s\", \"found\": %s, \"missing\": %d, \"chunked\": %s, "
                        + "\"versions\": [\"%s\", \"%s\"]}",
                uploaded.body(), listed, content, found, missing, chunked.body(), uploaded.version(), chunked.version());
    }

    private HttpResponse<String> upload(BodyPublisher form) throws Exception {
        return send(request("/v1/files", KEY).header("Content-Type", "multipart/form-data; boundary=b").POST(form));
    }

    private HttpResponse<String> get(String path) throws Exception {
        return send(request(path, KEY));
    }

    private String post(String path, String body, String key) throws Exception {
        HttpRequest.Builder request = request(path, key).header("Content-Type", "application/json");
        return send(request.POST(BodyPublishers.ofString(body))).body();
    }

    private HttpRequest.Builder request(String path, String key) {
        return HttpRequest.newBuilder(URI.create(url + path)).header("Authorization", "Bearer " + key);
    }

    private HttpResponse<String> send(HttpRequest.Builder request) throws Exception {
        return client.send(request.build(), BodyHandlers.ofString());
    }

    /** The first member of this name that is a string; the JDK reads no JSON. */
    private static String member(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\"\\s*:\\s*\"([^\"]*)\"").matcher(json);
        if (!found.find()) throw new AssertionError(json);
        return found.group(1);
    }
}
