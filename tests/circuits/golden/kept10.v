(* bitwright_weights = "10 20", bitwright_offset = "0", bitwright_divisor = "3" *)
module kept10 (
  input [9:0] in,
  output [1:0] out
);
  wire w10;
  MAJ3 u0 (.a(in[0]), .b(in[1]), .c(in[3]), .y(w10));
  wire w11;
  MAJ3 u1 (.a(in[5]), .b(in[6]), .c(in[8]), .y(w11));
  wire w12, w13;
  HA u2 (.a(w10), .b(w11), .s(w12), .co(w13));
  assign out[0] = w12;
  assign out[1] = w13;
endmodule

module MAJ3 (input a, input b, input c, output y);
  assign y = a & b | a & c | b & c;
endmodule

module HA (input a, input b, output s, output co);
  assign s = a ^ b;
  assign co = a & b;
endmodule
