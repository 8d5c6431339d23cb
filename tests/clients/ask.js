// Asks a server with Java's own HttpClient, which offers HTTP/2 with each request, and prints what it was told as JSON.
// Rhino runs it, so that no Java compiler is needed. It takes the server's URL, the path of a model, and a body for it.
importPackage(java.net, java.net.http, java.util.concurrent);

var url = arguments[0], path = arguments[1], body = arguments[2];
var client = HttpClient.newHttpClient();
var text = HttpResponse.BodyHandlers.ofString();

function get(path) {
  return HttpRequest.newBuilder(URI.create(url + path)).build();
}

function post(path, body) {
  var publisher = HttpRequest.BodyPublishers.ofString(body);
  return HttpRequest.newBuilder(URI.create(url + path)).POST(publisher).build();
}

function shown(answer) {
  return [answer.statusCode(), String(answer.version()), JSON.parse(String(answer.body()))];
}

var found = {};
found.version = String(client.version());
found.get = shown(client.send(get("/v2/health/ready"), text));
found.post = shown(client.send(post(path, body), text));
found.after = shown(client.send(get("/v2/health/live"), text));
found.refused = shown(client.send(post(path, "{}"), text));
var waiting = [];
for (var i = 0; i < 16; i++) waiting.push(client.sendAsync(post(path, body), text));
found.together = waiting.map(function (one) { return shown(one.get(60, TimeUnit.SECONDS)); });
print(JSON.stringify(found));
