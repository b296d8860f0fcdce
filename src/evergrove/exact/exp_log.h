// exp and log that give the same bits on every machine.
//
// libm's differ between versions and CPUs; these are made of IEEE additions, multiplications and
// divisions in a fixed order, so scalar code, every SIMD width and every compiler agree to the
// bit (with -ffp-contract=off). Error below 2 ulp over the whole range, by test against long
// double. NaN gives NaN.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace evergrove::exact {

double exp(double x);      // overflows to +infinity above 709.78, 0 below -745.14
double log(double x);      // -infinity at 0, NaN below 0
double sigmoid(double x);  // 1 / (1 + exp(-x))

// Elementwise over spans of equal length, with SIMD; the same bits as the scalar functions.
// in and out may be the same.
void exp(std::span<const double> in, std::span<double> out);
void log(std::span<const double> in, std::span<double> out);
void sigmoid(std::span<const double> in, std::span<double> out);

}  // namespace evergrove::exact
