#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "tests/cross_wheels/greeting.h"

static PyObject *greet(PyObject *self, PyObject *name) {
  const char *text = PyUnicode_AsUTF8(name);
  return text == nullptr ? nullptr : PyUnicode_FromString(greeting(text).c_str());
}

static PyMethodDef methods[] = {{"greet", greet, METH_O, ""}, {nullptr, nullptr, 0, nullptr}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "greeter", nullptr, -1, methods};

PyMODINIT_FUNC PyInit_greeter(void) { return PyModule_Create(&module); }
