/* histogram(array, bins): how many of the values 0 to 255 of a uint8 array fall into each of `bins` equal ranges. */
#define PY_SSIZE_T_CLEAN
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <Python.h>
#include <numpy/arrayobject.h>

static PyObject *histogram(PyObject *self, PyObject *arguments) {
  PyObject *given;
  int bins;
  if (!PyArg_ParseTuple(arguments, "Oi:histogram", &given, &bins)) {
    return NULL;
  }
  if (bins < 1 || bins > 256) {
    return PyErr_Format(PyExc_ValueError, "%d bins: expected 1 to 256", bins);
  }
  PyArrayObject *pixels = (PyArrayObject *)PyArray_FROMANY(given, NPY_UINT8, 0, 0, NPY_ARRAY_CARRAY_RO);
  if (pixels == NULL) {
    return NULL;
  }
  npy_intp shape[1] = {bins};
  PyArrayObject *counts = (PyArrayObject *)PyArray_ZEROS(1, shape, NPY_INT64, 0);
  if (counts == NULL) {
    Py_DECREF(pixels);
    return NULL;
  }
  const npy_uint8 *values = PyArray_DATA(pixels);
  npy_int64 *result = PyArray_DATA(counts);
  const npy_intp size = PyArray_SIZE(pixels);
  Py_BEGIN_ALLOW_THREADS
  for (npy_intp i = 0; i < size; i++) {
    result[values[i] * bins / 256]++;
  }
  Py_END_ALLOW_THREADS
  Py_DECREF(pixels);
  return (PyObject *)counts;
}

static PyMethodDef methods[] = {
    {"histogram", histogram, METH_VARARGS, "histogram(array, bins): counts of a uint8 array's values in equal ranges."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_histogram", NULL, -1, methods};

PyMODINIT_FUNC PyInit__histogram(void) {
  import_array();
  return PyModule_Create(&module);
}
