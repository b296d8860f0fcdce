// SPDX-License-Identifier: Apache-2.0
#include "status_error.h"

#include <nanobind/nanobind.h>

namespace evergrove::bindings {
namespace {

PyObject* exception_of(StatusKind kind) {
  switch (kind) {
    case StatusKind::invalid_input:
    case StatusKind::corrupt:
    case StatusKind::unsupported:
      return PyExc_ValueError;
    case StatusKind::not_found:
      return PyExc_FileNotFoundError;
    case StatusKind::storage:
      return PyExc_OSError;
    case StatusKind::interrupted:
      return PyExc_KeyboardInterrupt;
    case StatusKind::ok:
    case StatusKind::internal:
      break;
  }
  return PyExc_RuntimeError;
}

}  // namespace

void raise(const Status& status) {
  // A path in a message may hold bytes that are no UTF-8.
  PyObject* message = PyUnicode_DecodeUTF8(
      status.message().data(), static_cast<Py_ssize_t>(status.message().size()), "replace");
  if (message != nullptr) {
    PyErr_SetObject(exception_of(status.kind()), message);
    Py_DECREF(message);
  }
  throw nanobind::python_error();
}

}  // namespace evergrove::bindings
