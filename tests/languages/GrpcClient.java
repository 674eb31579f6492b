import com.google.protobuf.ByteString;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.FileInputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Calls the emulator at each target with grpc-java, with types from a file of descriptors, and prints a JSON list with
 * what was answered there.
 */
public class GrpcClient {
    private static final Map<String, FileDescriptor> FILES = new HashMap<>();

    private final Channel channel;

    GrpcClient(Channel channel) {
        this.channel = channel;
    }

    public static void main(String[] arguments) throws Exception {
        try (FileInputStream descriptors = new FileInputStream(arguments[0])) {
            for (FileDescriptorProto file : FileDescriptorSet.parseFrom(descriptors).getFileList()) read(file);
        }
        Metadata key = new Metadata();
        key.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + System.getenv("XAI_API_KEY"));
        List<String> answers = new ArrayList<>();
        for (int number = 1; number < arguments.length; number++) {
            ManagedChannel channel = NettyChannelBuilder.forTarget(arguments[number]).usePlaintext().build();
            Channel withKey = ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(key));
            answers.add(new GrpcClient(withKey).answers());
            channel.shutdownNow();
        }
        System.out.println(answers);
    }

    /** Files stand behind those that they import. */
    private static void read(FileDescriptorProto file) throws Exception {
        FileDescriptor[] imports = file.getDependencyList().stream().map(FILES::get).toArray(FileDescriptor[]::new);
        FILES.put(file.getName(), FileDescriptor.buildFrom(file, imports));
    }

    private static Descriptor type(String name) {
        for (FileDescriptor file : FILES.values()) {
            Descriptor found = file.getPackage().equals("xai_api") ? file.findMessageTypeByName(name) : null;
            if (found != null) return found;
        }
        throw new AssertionError(name);
    }

    private static DynamicMessage message(String type, String field, Object value) {
        Descriptor descriptor = type(type);
        return DynamicMessage.newBuilder(descriptor).setField(descriptor.findFieldByName(field), value).build();
    }

    private static Object value(Message message, String field) {
        return message.getField(message.getDescriptorForType().findFieldByName(field));
    }

    private static MethodDescriptor<Message, Message> method(String name, MethodType kind, String asks, String answers) {
        return MethodDescriptor.<Message, Message>newBuilder()
                .setFullMethodName("xai_api.Files/" + name)
                .setType(kind)
                .setRequestMarshaller(ProtoUtils.marshaller(DynamicMessage.getDefaultInstance(type(asks))))
                .setResponseMarshaller(ProtoUtils.marshaller(DynamicMessage.getDefaultInstance(type(answers))))
                .build();
    }

    private String answers() throws Exception {
        Message file = upload();
        Object id = value(file, "id");
        var list = method("ListFiles", MethodType.UNARY, "ListFilesRequest", "ListFilesResponse");
        Message nothing = DynamicMessage.getDefaultInstance(type("ListFilesRequest"));
        List<String> listed = new ArrayList<>();
        for (Object each : (List<?>) value(ClientCalls.blockingUnaryCall(channel, list, CallOptions.DEFAULT, nothing), "data")) {
            listed.add("\"" + value((Message) each, "id") + "\"");
        }
        return String.format("{\"id\": \"%s\", \"size\": %s, \"listed\": %s, \"content\": \"%s\", \"missing\": %d}",
                id, value(file, "size"), listed, content(id), missing());
    }

    private Message upload() throws Exception {
        CompletableFuture<Message> answer = new CompletableFuture<>();
        StreamObserver<Message> receiver = new StreamObserver<>() {
            @Override
            public void onNext(Message file) {
                answer.complete(file);
            }

            @Override
            public void onError(Throwable error) {
                answer.completeExceptionally(error);
            }

            @Override
            public void onCompleted() {}
        };
        var upload = method("UploadFile", MethodType.CLIENT_STREAMING, "UploadFileChunk", "File");
        StreamObserver<Message> sender =
                ClientCalls.asyncClientStreamingCall(channel.newCall(upload, CallOptions.DEFAULT), receiver);
        sender.onNext(message("UploadFileChunk", "init", message("UploadFileInit", "name", "solar.txt")));
        ByteString text = ByteString.copyFromUtf8("Solar panels turn light into power.");
        sender.onNext(message("UploadFileChunk", "data", text));
        sender.onCompleted();
        return answer.get();
    }

    private String content(Object id) {
        var read = method("RetrieveFileContent", MethodType.SERVER_STREAMING, "RetrieveFileContentRequest", "FileContentChunk");
        Message asked = message("RetrieveFileContentRequest", "file_id", id);
        Iterator<Message> chunks = ClientCalls.blockingServerStreamingCall(channel, read, CallOptions.DEFAULT, asked);
        StringBuilder content = new StringBuilder();
        chunks.forEachRemaining(chunk -> content.append(((ByteString) value(chunk, "data")).toStringUtf8()));
        return content.toString();
    }

    private int missing() {
        var read = method("RetrieveFile", MethodType.UNARY, "RetrieveFileRequest", "File");
        Message asked = message("RetrieveFileRequest", "file_id", "file_missing");
        try {
            ClientCalls.blockingUnaryCall(channel, read, CallOptions.DEFAULT, asked);
            return 0;
        } catch (StatusRuntimeException error) {
            return error.getStatus().getCode().value();
        }
    }
}
