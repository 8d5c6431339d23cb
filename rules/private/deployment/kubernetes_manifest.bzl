"""kubernetes_manifest: the objects of Kubernetes that run an image."""

load("//rules/providers:image_info.bzl", "ImageInfo", "IndexInfo")

_DOC = """Objects of Kubernetes, as YAML, that run an image by the digest that a push of it has."""

_ATTRS = {
    "env": attr.string_dict(doc = "Environment of the container, over that of the image."),
    "image": attr.label(mandatory = True, providers = [[ImageInfo], [IndexInfo]], doc = "The image, or the index, that is pushed."),
    "kind": attr.string(default = "deployment", values = ["deployment", "inference_service"], doc = "What runs it."),
    "namespace": attr.string(doc = "The objects' namespace."),
    "object_name": attr.string(doc = "The objects' name; defaults to the model's."),
    "replicas": attr.int(default = 1, doc = "How many run at a time."),
    "repository": attr.string(mandatory = True, doc = "Registry and repository that the image is pushed to."),
    "_kubernetes_manifest": attr.label(default = "//chassis/tools:kubernetes_manifest", cfg = "exec", executable = True),
}

def _impl(ctx):
    pushed = ctx.attr.image[ImageInfo if ImageInfo in ctx.attr.image else IndexInfo]
    image = pushed if ImageInfo in ctx.attr.image else pushed.images[0]
    model = getattr(image, "model", None)
    if not model:
        fail("\n%s: image %s is not made of a chassis_model: nothing says what it needs" % (ctx.label, ctx.attr.image.label))
    output = ctx.actions.declare_file(ctx.label.name + ".yaml")
    args = ctx.actions.args()
    args.add("--kind=" + ctx.attr.kind)
    args.add_all([pushed.documents], format_each = "--documents=%s", expand_directories = False)
    args.add_all([image.documents], format_each = "--image=%s", expand_directories = False)
    args.add(model.settings, format = "--settings=%s")
    args.add(model.status, format = "--status=%s")
    args.add("--name=" + ctx.attr.object_name)
    args.add("--namespace=" + ctx.attr.namespace)
    args.add("--repository=" + ctx.attr.repository)
    args.add("--replicas=%d" % ctx.attr.replicas)
    args.add_all(["%s=%s" % entry for entry in sorted(ctx.attr.env.items())], format_each = "--env=%s")
    args.add(output, format = "--output=%s")
    ctx.actions.run(
        executable = ctx.executable._kubernetes_manifest,
        arguments = [args],
        inputs = [pushed.documents, image.documents, model.settings, model.status],
        outputs = [output],
        mnemonic = "KubernetesManifest",
        progress_message = "Kubernetes manifest %{label}",
    )
    return [DefaultInfo(files = depset([output]))]

_kubernetes_manifest = rule(implementation = _impl, attrs = _ATTRS, doc = _DOC)

def kubernetes_manifest(name, image, repository, kind = "deployment", object_name = "", namespace = "", replicas = 1, env = {}, **kwargs):
    """Objects of Kubernetes, as YAML, that run an image by the digest that a push of it has: see docs/kubernetes.md.

    `bazel build //model:kubernetes && kubectl apply -f bazel-bin/model/kubernetes.yaml`

    Args:
      name: the target's name; the file is called `NAME.yaml`.
      image: the image, or the index, that is pushed.
      repository: registry and repository that it is pushed to, such as `registry.example/digits`.
      kind: `deployment` for a Deployment with a Service, `inference_service` for KServe's InferenceService.
      object_name: the objects' name; defaults to the model's.
      namespace: the objects' namespace; the current one if it is left out.
      replicas: how many run at a time.
      env: environment of the container, over that of the image.
      **kwargs: Bazel's common attributes.
    """
    if replicas < 1:
        fail("kubernetes_manifest(name = %r): replicas = %d: expected 1 or more" % (name, replicas))
    if not repository or "@" in repository or " " in repository:
        fail("kubernetes_manifest(name = %r): repository = %r: expected registry and repository, without digest, such as registry.example/digits" % (name, repository))
    _kubernetes_manifest(
        name = name,
        env = env,
        image = image,
        kind = kind,
        namespace = namespace,
        object_name = object_name,
        replicas = replicas,
        repository = repository,
        **kwargs
    )
