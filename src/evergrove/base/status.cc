// SPDX-License-Identifier: Apache-2.0
#include "evergrove/base/status.h"

namespace evergrove {
namespace {

Status make(StatusKind kind, std::string_view message, Details details) {
  std::string text(message);
  if (details.size() > 0) {
    text += " (";
    bool first = true;
    for (const auto& [name, value] : details) {
      if (!first) text += ", ";
      first = false;
      text.append(name).append(": ").append(value);
    }
    text += ")";
  }
  return Status(kind, std::move(text));
}

}  // namespace

std::string_view kind_name(StatusKind kind) {
  switch (kind) {
    case StatusKind::ok:
      return "ok";
    case StatusKind::invalid_input:
      return "invalid_input";
    case StatusKind::not_found:
      return "not_found";
    case StatusKind::corrupt:
      return "corrupt";
    case StatusKind::unsupported:
      return "unsupported";
    case StatusKind::storage:
      return "storage";
    case StatusKind::interrupted:
      return "interrupted";
    case StatusKind::internal:
      return "internal";
  }
  return "internal";
}

Status Status::with_context(std::string_view context) const {
  if (ok()) return *this;
  return Status(kind_, std::string(context) + ": " + message_);
}

Status invalid_input(std::string_view message, Details details) {
  return make(StatusKind::invalid_input, message, details);
}
Status not_found(std::string_view message, Details details) {
  return make(StatusKind::not_found, message, details);
}
Status corrupt(std::string_view message, Details details) {
  return make(StatusKind::corrupt, message, details);
}
Status unsupported(std::string_view message, Details details) {
  return make(StatusKind::unsupported, message, details);
}
Status storage_error(std::string_view message, Details details) {
  return make(StatusKind::storage, message, details);
}
Status interrupted(std::string_view message, Details details) {
  return make(StatusKind::interrupted, message, details);
}
Status internal_error(std::string_view message, Details details) {
  return make(StatusKind::internal, message, details);
}

}  // namespace evergrove
