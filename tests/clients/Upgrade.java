import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;

/** Uploads a file twice and downloads it, with the default client of the JDK, which offers h2c to every server. */
public class Upgrade {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        String url = arguments[0];
        byte[] form = ("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"java.txt\"\r\n\r\n"
                + "from Java\r\n--b--\r\n").getBytes(StandardCharsets.UTF_8);
        BodyPublisher[] bodies = {
            BodyPublishers.ofByteArray(form), // with a Content-Length
            BodyPublishers.fromPublisher(BodyPublishers.ofByteArray(form)), // in chunks
        };
        for (BodyPublisher body : bodies) {
            HttpRequest upload = HttpRequest.newBuilder(URI.create(url + "/v1/files"))
                    .header("Authorization", "Bearer xai-emulator")
                    .header("Content-Type", "multipart/form-data; boundary=b")
                    .POST(body).build();
            var response = client.send(upload, BodyHandlers.ofString());
            System.out.println(response.statusCode() + " " + response.version());
        }
        HttpRequest list = HttpRequest.newBuilder(URI.create(url + "/v1/files"))
                .header("Authorization", "Bearer xai-emulator").build();
        System.out.println(client.send(list, BodyHandlers.ofString()).statusCode());
    }
}
