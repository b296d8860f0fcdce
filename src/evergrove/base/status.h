// Status and Result: what can go wrong with correct code, as a value.
//
// A Status is either ok or a kind, a sentence and some details; a Result<T> is a T or a Status.
// The sentence says what was expected, what came and what to do; values go at the end:
//
//   return invalid_input("Label column has missing values; drop those rows",
//                        {{"column", name}, {"missing_count", std::to_string(count)}});
//   EVERGROVE_ASSIGN_OR_RETURN(auto file, open_file(path));
//   EVERGROVE_RETURN_IF_ERROR(file.sync());
//
// Both are values: copy, move and share between threads as one would a string.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace evergrove {

enum class StatusKind : uint8_t {
  ok,
  invalid_input,  // the caller's data, parameters or usage: exit code 2, ValueError
  not_found,      // no such file, folder, column: exit code 2, FileNotFoundError
  corrupt,        // a file that is not what it should be: exit code 2, ValueError
  unsupported,    // well formed, but not for this version: exit code 2, ValueError
  storage,        // a disk, object store or network failed: exit code 3, OSError
  interrupted,    // asked to stop; can be resumed: exit code 4, KeyboardInterrupt
  internal,       // our own bug: exit code 70, RuntimeError
};

// The kind as one word, such as "invalid_input".
std::string_view kind_name(StatusKind kind);

using Details = std::initializer_list<std::pair<std::string_view, std::string>>;

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  Status(StatusKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  bool ok() const { return kind_ == StatusKind::ok; }
  StatusKind kind() const { return kind_; }
  // The whole sentence with its details; empty when ok.
  const std::string& message() const { return message_; }
  // Returns the same status with "context: " put before the message; ok stays ok.
  Status with_context(std::string_view context) const;

 private:
  StatusKind kind_ = StatusKind::ok;
  std::string message_;
};

// Each makes a Status of its kind; details are appended as (name: value, name: value).
Status invalid_input(std::string_view message, Details details = {});
Status not_found(std::string_view message, Details details = {});
Status corrupt(std::string_view message, Details details = {});
Status unsupported(std::string_view message, Details details = {});
Status storage_error(std::string_view message, Details details = {});
Status interrupted(std::string_view message, Details details = {});
Status internal_error(std::string_view message, Details details = {});

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit on purpose
  Result(Status status) : value_(std::move(status)) {}  // NOLINT: implicit on purpose

  bool ok() const { return std::holds_alternative<T>(value_); }
  Status status() const { return ok() ? Status() : std::get<Status>(value_); }
  // Requires: ok().
  T& value() & { return std::get<T>(value_); }
  const T& value() const& { return std::get<T>(value_); }
  T&& value() && { return std::get<T>(std::move(value_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> value_;
};

}  // namespace evergrove

#define EVERGROVE_CONCAT_INNER(a, b) a##b
#define EVERGROVE_CONCAT(a, b) EVERGROVE_CONCAT_INNER(a, b)

// __COUNTER__ and not __LINE__: all lines of a macro's argument count as one, lambdas too.
#define EVERGROVE_RETURN_IF_ERROR_INNER(status, expression) \
  do {                                                      \
    ::evergrove::Status status = (expression);              \
    if (!status.ok()) return status;                        \
  } while (false)
#define EVERGROVE_RETURN_IF_ERROR(expression) \
  EVERGROVE_RETURN_IF_ERROR_INNER(EVERGROVE_CONCAT(evergrove_status_, __COUNTER__), expression)

#define EVERGROVE_ASSIGN_OR_RETURN_INNER(result, declaration, expression) \
  auto result = (expression);                                             \
  if (!result.ok()) return result.status();                               \
  declaration = std::move(result).value()

#define EVERGROVE_ASSIGN_OR_RETURN(declaration, expression)                                       \
  EVERGROVE_ASSIGN_OR_RETURN_INNER(EVERGROVE_CONCAT(evergrove_result_, __COUNTER__), declaration, \
                                   expression)
