"""The public rules of Chassis."""

load("//rules/private/debian:debian_base.bzl", _debian_base = "debian_base")
load("//rules/private/debian:debian_locks.bzl", _debian_locks = "debian_locks")
load("//rules/private/deployment:kubernetes_manifest.bzl", _kubernetes_manifest = "kubernetes_manifest")
load("//rules/private/image:chassis_image.bzl", _chassis_image = "chassis_image")
load("//rules/private/image:chassis_test.bzl", _chassis_test = "chassis_test")
load("//rules/private/image:platform_image.bzl", _platform_image = "platform_image")
load("//rules/private/image:requirements_test.bzl", _requirements_test = "requirements_test")
load("//rules/private/model:chassis_model.bzl", _chassis_model = "chassis_model")
load("//rules/private/model:hub_wheels.bzl", _hub_wheels = "hub_wheels")
load("//rules/private/model:model_directory.bzl", _model_directory = "model_directory")
load("//rules/private/model:model_tool.bzl", _model_tool = "model_tool")
load("//rules/private/python:image_python.bzl", _image_python = "image_python")
load("//rules/private/registry:oci_index.bzl", _oci_index = "oci_index")
load("//rules/private/registry:oci_load.bzl", _oci_load = "oci_load")
load("//rules/private/registry:oci_push.bzl", _oci_push = "oci_push")
load("//rules/private/registry:oci_push_all.bzl", _oci_push_all = "oci_push_all")
load("//rules/private/registry:oci_verify.bzl", _oci_verify = "oci_verify")
load("//rules/private/wheels:chassis_wheel.bzl", _chassis_wheel = "chassis_wheel")
load("//rules/private/wheels:wheel_file.bzl", _wheel_file = "wheel_file")
load("//rules/private/wheels:wheel_locks.bzl", _wheel_locks = "wheel_locks")
load("//rules/providers:image_info.bzl", _BaseInfo = "BaseInfo", _ImageInfo = "ImageInfo")
load("//rules/providers:layer_info.bzl", _LayerInfo = "LayerInfo")
load("//rules/providers:model_info.bzl", _ModelInfo = "ModelInfo")

chassis_image = _chassis_image
chassis_model = _chassis_model
chassis_test = _chassis_test
chassis_wheel = _chassis_wheel
debian_base = _debian_base
debian_locks = _debian_locks
image_python = _image_python
hub_wheels = _hub_wheels
kubernetes_manifest = _kubernetes_manifest
model_directory = _model_directory
model_tool = _model_tool
oci_index = _oci_index
oci_load = _oci_load
oci_push = _oci_push
oci_push_all = _oci_push_all
oci_verify = _oci_verify
platform_image = _platform_image
requirements_test = _requirements_test
wheel_file = _wheel_file
wheel_locks = _wheel_locks

BaseInfo = _BaseInfo
ImageInfo = _ImageInfo
LayerInfo = _LayerInfo
ModelInfo = _ModelInfo
