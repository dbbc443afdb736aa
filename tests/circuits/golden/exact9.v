(* bitwright_weights = "1 2 4 8", bitwright_offset = "0" *)
module exact9 (
  input [8:0] in,
  output [3:0] out
);
  wire w9, w10;
  FA u0 (.a(in[0]), .b(in[1]), .c(in[2]), .s(w9), .co(w10));
  wire w11, w12;
  FA u1 (.a(in[3]), .b(in[4]), .c(in[5]), .s(w11), .co(w12));
  wire w13, w14;
  FA u2 (.a(in[6]), .b(in[7]), .c(in[8]), .s(w13), .co(w14));
  wire w15, w16;
  FA u3 (.a(w9), .b(w11), .c(w13), .s(w15), .co(w16));
  wire w17, w18;
  FA u4 (.a(w10), .b(w12), .c(w14), .s(w17), .co(w18));
  wire w19, w20;
  HA u5 (.a(w16), .b(w17), .s(w19), .co(w20));
  wire w21, w22;
  HA u6 (.a(w18), .b(w20), .s(w21), .co(w22));
  assign out[0] = w15;
  assign out[1] = w19;
  assign out[2] = w21;
  assign out[3] = w22;
endmodule

module HA (input a, input b, output s, output co);
  assign s = a ^ b;
  assign co = a & b;
endmodule

module FA (input a, input b, input c, output s, output co);
  assign s = a ^ b ^ c;
  assign co = a & b | a & c | b & c;
endmodule
