// Sources: from paths, from Arrow streams (any frame), from compressed sparse rows.
// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "evergrove/source/open.h"
#include "evergrove/source/partitions.h"
#include "module.h"
#include "status_error.h"

namespace nb = nanobind;

namespace evergrove::bindings {
namespace {

using Int64s = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Int32s = nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Doubles = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

using OpenResult = Result<std::shared_ptr<table::RowSource>>;

Source open_paths(const std::vector<std::string>& paths, std::vector<std::string> categorical,
                  std::vector<std::string> text) {
  const OpenResult result = [&] {
    nb::gil_scoped_release release;
    source::OpenOptions options;
    options.categorical = std::move(categorical);
    options.text = std::move(text);
    return source::open(paths, options);
  }();
  return {value_or_raise(result)};
}

// The stream's callbacks may be Python and take the GIL themselves, so it is released here too.
Source open_stream(const nb::capsule& stream, std::vector<std::string> categorical) {
  auto* pointer = static_cast<ArrowArrayStream*>(stream.data("arrow_array_stream"));
  const OpenResult result = [&] {
    nb::gil_scoped_release release;
    source::OpenOptions options;
    options.categorical = std::move(categorical);
    return source::from_stream(pointer, options);
  }();
  return {value_or_raise(result)};
}

std::string value_fingerprint(const Source& source) {
  const Result<std::string> result = [&] {
    nb::gil_scoped_release release;
    return source::fingerprint_of(*source.rows);
  }();
  return value_or_raise(result);
}

// Keeps numpy arrays alive for a source; whichever thread lets go of it last takes the GIL.
struct CsrOwner {
  Int64s row_starts;
  Int32s columns;
  Doubles values;
};

Source open_csr(const Int64s& row_starts, const Int32s& columns, const Doubles& values,
                size_t column_count, std::vector<std::string> names,
                const std::vector<std::pair<std::string, Doubles>>& dense) {
  source::CsrMatrix matrix;
  matrix.row_starts = {row_starts.data(), row_starts.size()};
  matrix.columns = {columns.data(), columns.size()};
  matrix.values = {values.data(), values.size()};
  matrix.column_count = column_count;
  matrix.owner = std::shared_ptr<const CsrOwner>(new CsrOwner{row_starts, columns, values},
                                                 [](const CsrOwner* owner) {
                                                   nb::gil_scoped_acquire acquire;
                                                   delete owner;
                                                 });
  std::vector<std::pair<std::string, std::vector<double>>> more;
  for (const auto& [name, column] : dense) {
    more.emplace_back(name, std::vector<double>(column.data(), column.data() + column.size()));
  }
  const OpenResult result = [&] {
    nb::gil_scoped_release release;
    return source::from_csr(matrix, std::move(names), std::move(more));
  }();
  return {value_or_raise(result)};
}

template <typename Number>
using Matrix = nb::ndarray<const Number, nb::ndim<2>, nb::device::cpu>;

// Requires: a row's numbers lie one after the other.
template <typename Number>
Source open_matrix(const Matrix<Number>& values, std::vector<std::string> names) {
  source::RowMatrix<Number> matrix{values.data(), values.shape(0), values.shape(1),
                                   static_cast<size_t>(values.stride(0)), nullptr};
  // Whichever thread lets go of it last takes the GIL.
  matrix.owner = std::shared_ptr<const Matrix<Number>>(new Matrix<Number>(values),
                                                       [](const Matrix<Number>* owner) {
                                                         nb::gil_scoped_acquire acquire;
                                                         delete owner;
                                                       });
  return {value_or_raise(source::from_matrix(matrix, std::move(names)))};
}

std::string_view kind_name(table::ColumnKind kind) {
  return kind == table::ColumnKind::numeric ? "numeric" : "categorical";
}

}  // namespace

void init_source(nb::module_& module) {
  nb::class_<Source>(module, "Source")
      .def_prop_ro("row_count",
                   [](const Source& source) { return source.rows->row_count(); })
      .def_prop_ro("columns", [](const Source& source) {
        std::vector<std::tuple<std::string, std::string_view, std::string>> columns;
        for (const table::ColumnSpec& column : source.rows->schema().columns) {
          columns.emplace_back(column.name, kind_name(column.kind), column.source_type);
        }
        return columns;
      });
  module.def("value_fingerprint", &value_fingerprint, nb::arg("source"));
  module.def("open_paths", &open_paths, nb::arg("paths"), nb::arg("categorical"), nb::arg("text"));
  module.def("open_stream", &open_stream, nb::arg("stream"), nb::arg("categorical"));
  module.def("open_matrix", &open_matrix<float>, nb::arg("values"), nb::arg("names"));
  module.def("open_matrix", &open_matrix<double>, nb::arg("values"), nb::arg("names"));
  module.def("open_csr", &open_csr, nb::arg("row_starts"), nb::arg("columns"), nb::arg("values"),
             nb::arg("column_count"), nb::arg("names"), nb::arg("dense"));
}

}  // namespace evergrove::bindings
