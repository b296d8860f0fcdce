// The one place where a Status becomes a Python exception.
//
//   model::Model model = value_or_raise(runtime::read_model(path));
//
// Kinds and exceptions are those that base/status.h names.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "evergrove/base/status.h"

namespace evergrove::bindings {

// Requires: the GIL is held, !status.ok().
[[noreturn]] void raise(const Status& status);

inline void raise_if_error(const Status& status) {
  if (!status.ok()) raise(status);
}

template <typename T>
T value_or_raise(Result<T> result) {
  if (!result.ok()) raise(result.status());
  return std::move(result).value();
}

}  // namespace evergrove::bindings
