// Numbers as text: how a number is named when it is a category or a class.
//
// Integers as integers, so that 100000 is "100000" whether a column came as int64 or, with a
// missing value among its rows, as double; other numbers by the shortest decimal text that reads
// back as the same number, in their own width (a float's 0.1 is "0.1"). -0.0 is "0".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace evergrove {

std::string number_text(int64_t number);
std::string number_text(uint64_t number);
std::string number_text(float number);
std::string number_text(double number);

}  // namespace evergrove
